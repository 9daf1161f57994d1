"""What trials take of a machine, and what a whole search may take: filled in where a user left it open, and checked."""

import os
from typing import Any

import torch

from search.picking.evidence import PICKED_BY
from search.records.study import StudySpec
from spaces.errors import UserError


def shares(given: dict[str, Any], on_cluster: bool) -> dict[str, Any]:
    """Share this machine out, where the user left it open: one trial a GPU, or one a core where there is no GPU.

    Gives GPUs a worker, trials at once, and threads a trial. It looks at this machine alone; of a cluster the user says
    what its nodes have. Raises UserError if GPUs are asked for and there are none.
    """
    cores, gpus = len(os.sched_getaffinity(0)), torch.cuda.device_count()
    per_worker = given.get("gpus_per_worker", 1.0 if gpus else 0.0)
    workers = max(1, given.get("workers_per_trial", 1))
    held = int(gpus / per_worker) if per_worker else cores // max(1, given.get("threads_per_trial", 1))
    concurrency = given.get("concurrency", max(1, held // workers))
    if per_worker and not gpus and not on_cluster:
        raise UserError(f"--gpus-per-worker {per_worker:g}: this machine has no GPU; leave it out")
    threads = max(1, cores // max(1, concurrency * workers))
    return {"gpus_per_worker": per_worker, "concurrency": concurrency, "threads_per_trial": threads}


def check_sampler(spec: StudySpec) -> None:
    """UserError if the sampler can't go by the search's metrics, or by as many."""
    if spec.front and spec.sampler == "transfer":
        raise UserError(
            f"--sampler transfer goes by one metric, not by {' and '.join(spec.front)}; give --sampler tpe or nsga2"
        )
    if spec.sampler == "transfer" and spec.metric not in PICKED_BY:
        raise UserError(
            f"--sampler transfer goes by ratios of scores, which {spec.metric} has none of; give --metric "
            f"{'|'.join(PICKED_BY)}, or --sampler tpe"
        )
    if not spec.front and spec.sampler == "nsga2":
        raise UserError("--sampler nsga2 searches a front; give two metrics, as --metric fd,iw, or --sampler tpe")


def check_stopping(spec: StudySpec) -> None:
    """UserError if trials can't be stopped by their curves."""
    if spec.stopping != "curves":
        return
    if not spec.early_stopping:
        raise UserError("--stop curves: early stopping is off; leave out --no-early-stopping")
    if spec.front:
        raise UserError(f"--stop curves goes by one metric, not by {' and '.join(spec.front)}; leave it out, for ranks")
    if spec.metric not in PICKED_BY:
        raise UserError(
            f"--stop curves: curves are carried on as ratios, which {spec.metric} has none of; give --metric "
            f"{'|'.join(PICKED_BY)}, or leave it out"
        )


def check_limits(spec: StudySpec) -> None:
    """UserError if the search has a limit that can't be reached."""
    if spec.gpu_hours and not spec.gpus_per_worker:
        raise UserError(f"--gpu-hours {spec.gpu_hours:g}: its trials have no GPU; give --core-hours or --hours")
    if spec.until_gain and spec.front:
        raise UserError("--until-gain: what more trials would gain is not known of a front; give --hours")
    if spec.until_gain and spec.metric not in PICKED_BY:
        raise UserError(
            f"--until-gain: what more trials would gain is not known of {spec.metric}, whose scores are no ratios; give "
            f"--metric {'|'.join(PICKED_BY)}, or --hours"
        )
