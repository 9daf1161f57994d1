"""How Optuna draws the next trial of a study by what is known of transfer: the one that promises most for each second.

All that was tried, on this target and on others, goes into the model of `transfer_model`. Of candidates drawn from the
study's own space, and of the best of them with other learning rates, that is proposed whose expected improvement over the
best score so far (Jones et al. 1998), in logs, is largest per second that such a trial takes. Before anything came through
what is to be improved upon is the mean of all candidates, and the level of the target's scores, which nobody knows yet,
cancels. A trial that was stopped counts with the score that it would have come to by the learning curves of others, one that
runs with what it has so far, or with what is expected of it, so that trials at once differ.

The model knows the arm and the learning rates. Whatever else a space suggests is left to another sampler, as are the
conditions of a trial, which nobody optimises. A trial that was planned keeps what it was planned with. The proposal is a
function of the journal, the prior and the seed: a resumed search goes on as if it had not been interrupted.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from search.picking.arms import Arm, Rates
from search.picking.curves import Curve, carried
from search.picking.prior import Prior
from search.picking.transfer_model import COARSE, Belief, Case, Model
from search.proposals import overlaid
from search.records.study import StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.suggest import Space

MODELLED = ("source", "method", "transfer/parts", "optim/lr_g", "optim/lr_d")
"""The parameters that are proposed; the others are drawn by another sampler."""

CANDIDATES = 400
"""Drawn from the space when a study is opened."""

_RATES = ("optim/lr_g", "optim/lr_d")
_NEAR, _SPREAD = 8, 0.25
"""How many of the best candidates are tried with other rates, each as many times, and how far off in logs."""
_DRAWS = 256
_LOST = 0.5
"""How much worse, in logs, a trial counts that came to nothing than the worst that came to something."""

Floats = NDArray[np.float64]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What might be proposed: parameters, and what the model knows of them."""

    parameters: Parameters
    distributions: Mapping[str, BaseDistribution]
    case: Case

    @property
    def place(self) -> tuple[Arm, Rates | None]:
        """What distinguishes it for the model."""
        return self.case.arm, self.case.rates


class TransferSampler(BaseSampler):
    """See the module's words. `suggest` is the study's space, `base` what its suggestions are laid over."""

    def __init__(
        self,
        prior: Prior,
        base: TrialConfig,
        suggest: Callable[[optuna.Trial], object],
        first: Sequence[Parameters],
        seed: int,
        rest: BaseSampler,
    ) -> None:
        self._prior, self._base, self._seed, self._rest = prior, base, seed, rest
        self._candidates = list(self._distinct(drawn(suggest, first, seed)))
        self._space = {name: kind for one in self._candidates for name, kind in one.distributions.items()}
        self._model = Model(prior.cases, prior.log_scores, [one.case for one in self._candidates], COARSE)
        self._known: dict[tuple[int, int], tuple[float, float] | None] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is proposed; a trial that is planned whole needs nothing."""
        fixed = trial.system_attrs.get("fixed_params", {})
        return {name: kind for name, kind in self._space.items() if name not in fixed}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the most promising candidate that agrees with what is planned."""
        fixed = trial.system_attrs.get("fixed_params", {})
        if not self._candidates or "source" in fixed and any(name in fixed for name in _RATES):
            return {}
        chosen = self.propose([each for each in study.get_trials(deepcopy=False) if each.number != trial.number], fixed)
        return {} if chosen is None else {name: value for name, value in chosen.parameters.items() if name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the model knows nothing of."""
        return self._rest.sample_independent(study, trial, param_name, param_distribution)

    def propose(self, trials: Sequence[FrozenTrial], fixed: Parameters) -> Candidate | None:
        """The candidate to try next, after these trials; None if none agrees with the parameters that are fixed."""
        agreeing = [
            one for one in self._candidates if all(one.parameters.get(name, fixed[name]) == fixed[name] for name in fixed)
        ]
        if not agreeing:
            return None
        belief, best, tried = self.belief(trials)
        rng = np.random.default_rng([self._seed, len(trials)])
        fresh = [one for one in agreeing if one.place not in tried] or agreeing
        promise = self._promise(belief, fresh, best)
        first = np.argsort(-promise, kind="stable")[:_NEAR]
        near = [moved for place in first for moved in self._moved(fresh[int(place)], rng, fixed)]
        if near:
            fresh, promise = [*fresh, *near], np.r_[promise, self._promise(belief, near, best)]
        return fresh[int(np.argmax(promise))]

    def belief(self, trials: Sequence[FrozenTrial]) -> tuple[Belief, float | None, set[tuple[Arm, Rates | None]]]:
        """What the prior and these trials make likely, the best log score of those that came through, and what was tried."""
        cases, logs, lost, running, best = [], [], [], [], None
        for trial in trials:
            if (case := self._case_of(trial)) is None:
                continue
            if (found := self._seen(trial, case)) is not None:
                cases.append(case._replace(error=found[1]))
                logs.append(found[0])
            elif trial.state.is_finished():
                lost.append(case)
            else:
                running.append(case)
            if trial.state is TrialState.COMPLETE and found is not None:
                best = found[0] if best is None else min(best, found[0])
        tried = {(case.arm, case.rates) for case in (*cases, *lost, *running)}
        if lost and logs:
            worst = max(logs) + _LOST
            cases, logs = [*cases, *lost], [*logs, *([worst] * len(lost))]
        belief = self._model.after(cases, np.array(logs), _DRAWS, self._seed)
        if running:  # taken for what is expected of them, so that what comes next is something else
            expected = np.r_[logs, belief.mean(running).mean(0)]
            belief = self._model.after([*cases, *running], expected, _DRAWS, self._seed)
        return belief, best, tried

    def _promise(self, belief: Belief, candidates: Sequence[Candidate], best: float | None) -> Floats:
        """(candidates,) expected improvement per second, of a single trial each."""
        mean = belief.mean([one.case for one in candidates])
        goal = mean.mean(1, keepdims=True) if best is None else best
        spread = belief.sigma[:, None]
        z = (goal - mean) / spread
        gain: Floats = (spread * (z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))).mean(0)
        seconds = np.array([self._prior.seconds(one.case.arm.method) for one in candidates])
        return gain / seconds

    def _moved(self, one: Candidate, rng: np.random.Generator, fixed: Parameters) -> list[Candidate]:
        """The candidate with other learning rates near its own, as far as the space has ranges of them."""
        ranges = {
            name: kind
            for name in _RATES
            if name not in fixed and isinstance(kind := one.distributions.get(name), FloatDistribution) and not kind.step
        }
        if not ranges or one.case.rates is None:
            return []
        found = []
        for _ in range(_NEAR):
            values = {
                name: float(np.clip(one.parameters[name] * math.exp(rng.normal(0, _SPREAD)), kind.low, kind.high))
                for name, kind in ranges.items()
            }
            found.append(self._candidate({**one.parameters, **values}, one.distributions))
        return found

    def _distinct(self, trials: Sequence[FrozenTrial]) -> Sequence[Candidate]:
        """Candidates that the model tells apart, with the parameters that are proposed alone."""
        found: dict[tuple[Arm, Rates | None], Candidate] = {}
        for trial in trials:
            kinds = {name: kind for name, kind in trial.distributions.items() if name in MODELLED}
            one = self._candidate(trial.params, kinds)
            found.setdefault(one.place, one)
        return list(found.values())

    def _candidate(self, parameters: Parameters, kinds: Mapping[str, BaseDistribution]) -> Candidate:
        config = overlaid(self._base, parameters, "the study's space")
        shown = {name: parameters[name] for name in kinds}
        return Candidate(shown, kinds, self._prior.case(Arm.of(config), config.rates))

    def _case_of(self, trial: FrozenTrial) -> Case | None:
        """What the model knows of a trial; None of one whose suggestions came to no config."""
        shown = {name: value for name, value in trial.params.items() if name in MODELLED}
        if "source" not in shown and self._base.source == SCRATCH and "source" in self._space:
            return None  # it was not asked for what it is
        config = overlaid(self._base, shown, "the study's space")
        return self._prior.case(Arm.of(config), config.rates)._replace(study="this one")

    def _seen(self, trial: FrozenTrial, case: Case) -> tuple[float, float] | None:
        """Its log score at the whole budget, with its error; None if it has no score yet, or never had."""
        if trial.state is TrialState.COMPLETE and trial.value is not None and trial.value > 0:
            return math.log(trial.value), 0.0
        steps = {images: value for images, value in trial.intermediate_values.items() if images and value > 0}
        if not steps or trial.state is TrialState.FAIL or trial.user_attrs.get("status") == "diverged":
            return None
        key = trial.number, max(steps)
        if key not in self._known:
            scores = {images: math.log(steps[images]) for images in sorted(steps)}
            where = "this one", trial.number, self._prior.target, self._prior.level, case.arm
            curve = Curve(*where, scores, True, 0.0, self._base)
            self._known[key] = carried(curve, self._prior.images, self._prior.curves)
        return self._known[key]


def drawn(suggest: Callable[[optuna.Trial], object], first: Sequence[Parameters], seed: int) -> list[FrozenTrial]:
    """The space's first trials and random ones of it, told to nobody; the same for the same seed."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for parameters in first:
        study.enqueue_trial(dict(parameters))
    for _ in range(max(CANDIDATES, len(first))):
        suggest(study.ask())
    return study.get_trials(deepcopy=False)


def transfer_sampler(
    spec: StudySpec, space: Space, prior: Prior, first: Sequence[Parameters], rest: BaseSampler
) -> TransferSampler:
    """The sampler of a study; `rest` draws what the model knows nothing of."""

    def suggest(trial: optuna.Trial) -> None:
        space.suggest(trial, sources=list(spec.sources), train_images=spec.train_images)

    return TransferSampler(prior, spec.base, suggest, first, spec.seed, rest)
