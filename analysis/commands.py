"""Command lines for a reader to copy."""

import shlex
from collections.abc import Mapping

from analysis.findings.parameters import FEWEST
from search.records.study import DEFAULT_TRIALS, LIMITS, StudySpec
from spaces.networks import classes_of
from spaces.protocol import LITE0
from spaces.suggest import UNVARIED


def again(spec: StudySpec) -> str:
    """The command line that makes this study anew."""
    if spec.space != UNVARIED:
        return search_command(spec)
    return shlex.join(["understock", "train", spec.target, "--config", "study.json", "--name", spec.name])


def longer(spec: StudySpec) -> str:
    """A command line for more trials than it had; where it trained one given configuration, for a search like it.

    It has another seed, as with the same one the trials would be the same again. It asks for twice the trials, and for twice
    the fewest that the importance of parameters takes: some diverge, and some train nothing.
    """
    name = f"{spec.name[:95]}-more"
    if spec.space != UNVARIED:
        unlimited = dict.fromkeys(LIMITS)
        more = 2 * max(spec.trials or DEFAULT_TRIALS, FEWEST)
        return search_command(spec.model_copy(update={**unlimited, "seed": spec.seed + 1}), name=name, trials=more)
    as_search = {"space": "quickstart", "sampler": "tpe", "early_stopping": True, "sources": ()}
    return short_command(spec.model_copy(update=as_search), name=name)


def search_command(spec: StudySpec, *, name: str | None = None, trials: int | None = None) -> str:
    """The command line that defines a study, whole; or one that differs from it in name and number of trials.

    Where to run it (home, cluster, dashboard) is the reader's.
    """
    options = {
        "space": spec.space,
        "trials": trials or spec.trials,
        "seed": spec.seed,
        "sampler": spec.sampler,
        "stop": spec.stopping if spec.early_stopping else None,
        "metric": ",".join(spec.goals),
        "extractor": spec.base.protocol.extractor,
        "target-images": spec.base.data.target_images,
        "shots": spec.base.data.shots,
        "max-images": spec.base.budget.images,
        "sources": _sources(spec),
        "family": _family(spec),
        "concurrency": spec.concurrency,
        "threads-per-trial": spec.threads_per_trial,
        "workers-per-trial": spec.workers_per_trial,
        "gpus-per-worker": f"{spec.gpus_per_worker:.12g}",
        "memory-per-trial": spec.memory_per_trial and f"{spec.memory_per_trial / 2**30:.12g}",
        "hours": spec.hours and f"{spec.hours:.12g}",
        "core-hours": spec.core_hours and f"{spec.core_hours:.12g}",
        "gpu-hours": spec.gpu_hours and f"{spec.gpu_hours:.12g}",
        "until-gain": spec.until_gain and f"{100 * spec.until_gain:.12g}%",
        "max-minutes": spec.max_seconds and f"{spec.max_seconds / 60:.12g}",
        "name": name or spec.name,
    }
    return _search(spec, options, *_asked(spec), "--early-stopping" if spec.early_stopping else "--no-early-stopping")


def short_command(spec: StudySpec, *, name: str) -> str:
    """A command for a study that differs from `spec` in more than its length: what matters, and where is left open."""
    options = {
        "space": spec.space,
        "sampler": spec.sampler if spec.sampler != "tpe" else None,
        "stop": spec.stopping if spec.early_stopping and spec.stopping != "asha" else None,
        "metric": ",".join(spec.goals) if spec.goals != ("fd",) else None,
        "extractor": spec.base.protocol.extractor if spec.base.protocol.extractor != LITE0 else None,
        "target-images": spec.base.data.target_images,
        "shots": spec.base.data.shots,
        "max-images": spec.base.budget.images,
        "sources": _sources(spec),
        "family": _family(spec) if _family(spec) != "resnet" else None,
        "name": name,
    }
    return _search(spec, options, *_asked(spec), *([] if spec.early_stopping else ["--no-early-stopping"]))


def _asked(spec: StudySpec) -> list[str]:
    """The flag of a study of conditional GANs."""
    network = getattr(spec.base, "network", None)
    return ["--conditional"] if network is not None and classes_of(network) else []


def _family(spec: StudySpec) -> str | None:
    """Of the networks that trials train; None of a study of methods without."""
    network = getattr(spec.base, "network", None)
    return None if network is None else str(network.family)


def _sources(spec: StudySpec) -> str | None:
    """The names of source models and source domains, each once."""
    return ",".join(dict.fromkeys((*spec.sources, *spec.domains))) or None


def _search(spec: StudySpec, options: Mapping[str, object], *flags: str) -> str:
    given = [word for flag, value in options.items() if value is not None for word in (f"--{flag}", str(value))]
    return shlex.join(["understock", "search", spec.target, *given, *flags])
