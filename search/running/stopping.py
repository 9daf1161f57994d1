"""What stops a search's poor trials early, by images seen: ASHA by one score, its like for a front, or what curves promise.

Each is told of the trials that an earlier run finished. The first trial from scratch spends its whole budget, because transfer
is compared with it, and no trial is stopped at an evaluation that an earlier run judged already, before later ones came out
better.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from search.curve_stopping import Beliefs, CurveStopping
from search.fronts import Floats, costs_of, places
from search.picking.arms import Arm
from search.prior import prior_of
from search.records.journal import is_score
from search.records.results import score_of
from search.records.study import StudySpec, rung_images
from search.running.ledger import Ledger
from spaces.trials import parse_trial_json

Keep = Callable[[Callable[[], None]], None]
"""What calls a function that writes something down, unless the run is over, and sees to it that an error of the disk ends it."""


def _at_once(write: Callable[[], None]) -> None:
    write()


def scheduler_of(ledger: Ledger, keep: Keep = _at_once) -> TrialScheduler:
    """The scheduler of a study, told of the trials that an earlier run finished; it writes through `keep` alone."""
    spec = ledger.spec
    if not spec.early_stopping:
        return FIFOScheduler()
    scheduler = (
        _curves(ledger, keep) if spec.stopping == "curves" else FrontHalving(spec) if spec.front else _asha(spec)
    )
    for number, rows in ledger.earlier.items():
        known = {"number": number, "evaluated": spec.base.budget.images}  # all that a scheduler looks at
        trial: Any = SimpleNamespace(trial_id=f"earlier-{number}", config=known)
        controller: Any = None
        scheduler.on_trial_add(controller, trial)
        for row in rows:
            if row[spec.metric] is not None:
                scheduler.on_trial_result(controller, trial, row)
        scheduler.on_trial_remove(controller, trial)
    return scheduler


def _curves(ledger: Ledger, keep: Keep) -> "Curves":
    spec, paths = ledger.spec, ledger.paths
    earlier = prior_of(spec, paths).curves
    judge = CurveStopping(spec.target, spec.base.budget.images, earlier, spec.base)
    return Curves(judge, spec.metric, Beliefs(paths), keep)


def _spared(trial: Any, images: int) -> bool:
    return bool(trial.config.get("reference")) or images <= trial.config.get("evaluated", 0)


def _asha(spec: StudySpec) -> ASHAScheduler:
    return Asha(
        time_attr="images_seen",
        metric=spec.metric,
        mode="min" if spec.direction == "minimize" else "max",
        max_t=spec.base.budget.images,
        grace_period=spec.base.budget.eval_every_images,
        reduction_factor=spec.reduction_factor,
    )


class Asha(ASHAScheduler):
    """ASHA (arXiv:1810.05934) that spares some; see the module's words."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(tune_controller, trial, result)
        images = result.get("images_seen")
        if images is None or images >= self._max_t:
            return decision
        return TrialScheduler.CONTINUE if _spared(trial, images) else decision


class FrontHalving(FIFOScheduler):
    """Asynchronous successive halving of a front (MO-ASHA, arXiv:2106.12639), with NSGA-II's order of what a rung has seen.

    At each rung a trial goes on where fewer of those that came before it, than one in `reduction_factor`, come before it in
    that order too: by the front that they are on, and on one front by the room to their neighbours. The first to come goes on.
    """

    def __init__(self, spec: StudySpec) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._goals, self._factor, self._whole = spec.goals, spec.reduction_factor, spec.base.budget.images
        self._rungs: dict[int, dict[str, Floats]] = {images: {} for images in reversed(rung_images(spec)[:-1])}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        images = result.get("images_seen")
        scores = {name: score_of(result, name) for name in self._goals}
        if images is None or images >= self._whole or not all(map(is_score, scores.values())):
            return TrialScheduler.CONTINUE
        rung = next((rung for rung in self._rungs if images >= rung), None)
        if rung is None or trial.trial_id in self._rungs[rung]:
            return TrialScheduler.CONTINUE
        known = {name: score for name, score in scores.items() if score is not None}
        seen = self._rungs[rung]
        before, seen[trial.trial_id] = len(seen), costs_of([known], self._goals)[0]
        ahead = int(places(np.array(list(seen.values())))[-1])
        goes_on = ahead * self._factor < max(1, before) or _spared(trial, images)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP


class Curves(FIFOScheduler):
    """Stops a trial at whatever evaluation its learning curve promises too little, and writes down what was believed."""

    def __init__(self, judge: CurveStopping, metric: str, beliefs: Beliefs, keep: Keep) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._judge, self._goal, self._beliefs, self._keep = judge, metric, beliefs, keep

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        images, score = result.get("images_seen"), score_of(result, self._goal)
        if images is None or not is_score(score) or score <= 0:
            return TrialScheduler.CONTINUE
        given = trial.config.get("config")
        arm = Arm.of(parse_trial_json(given, "a trial")) if given else Arm.of_row(result)
        seconds = result.get("wall_seconds") or 0.0
        believed = self._judge.see(trial.config["number"], arm, images, score, seconds)
        if believed is None or images <= trial.config.get("evaluated", 0):
            return TrialScheduler.CONTINUE
        believed = replace(believed, stopped=believed.stopped and not _spared(trial, images))
        self._keep(partial(self._beliefs.note, believed))  # Tune would end by what is raised here
        return TrialScheduler.STOP if believed.stopped else TrialScheduler.CONTINUE
