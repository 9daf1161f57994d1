"""How Optuna draws the next trial of a study by what is known of transfer: the one that promises most for each second.

All that was tried, on this target and on others, goes into the model of `transfer_model`. Of candidates drawn from the
study's own space, and of the best of them with other learning rates, that is proposed whose expected improvement over the
best score so far (Jones et al. 1998), in logs, is largest per second that such a trial takes. Before anything came through
what is to be improved upon is the mean of all candidates, and the level of the target's scores, which nobody knows yet,
cancels. A trial that was stopped counts with the score that it would have come to by the learning curves of earlier trials, or
of the search's own where there are none; one that runs with what it has so far, or with what is expected of it, so that trials
at once differ. One trial of a search that goes on for so long is from scratch, whatever that promises.

The model knows the arm and the learning rates. Whatever else a space suggests is left to another sampler, as are the
conditions of a trial, which nobody optimises. A trial that was planned keeps what it was planned with. The proposal is a
function of the journal, the prior and the seed: a resumed search goes on as if it had not been interrupted.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from search.picking.arms import SCRATCH_ARM, Arm, Rates
from search.picking.curves import Curve, carried, progress
from search.picking.evidence import level_of
from search.picking.transfer_model import Belief, Case, Model
from search.prior import MODELLED, Prior, prior_of
from search.proposals import overlaid, trial_config
from search.records.study import StudyPaths, StudySpec
from search.sampling import sampler
from spaces.config import Data, TrialConfig
from spaces.counts import plural
from spaces.errors import UserError
from spaces.suggest import Space

CANDIDATES, _TRIES = 400, 8
"""Different ones drawn from the space when a study is opened; as many times more draws at most, for one that has no more."""

CONTROL = 8
"""The trial of that number is from scratch if none before it was: what transfer is compared with, whatever it promises."""

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
    beside: Parameters
    """What the space suggested with it that is not proposed: settings may fit no others."""

    def agrees(self, fixed: Parameters) -> bool:
        """Whether it has the value of every parameter of these that it has."""
        return all(self.parameters.get(name, value) == value for name, value in fixed.items())

    @property
    def place(self) -> tuple[Arm, Rates | None]:
        """What distinguishes it for the model."""
        return self.case.arm, self.case.rates


class Seen(NamedTuple):
    """What the trials so far come to."""

    belief: Belief
    level: str
    """That most trials are of."""
    best: float | None
    """The lowest log score, at that level, of those that came through."""
    tried: set[tuple[Arm, Rates | None]]


class Outlook(NamedTuple):
    """What more trials would gain: shares of the best score so far, by draws of what is believed."""

    trials: int
    expected: float
    """The median."""
    low: float
    most: float
    """The bounds that hold 90 % of draws."""

    @property
    def said(self) -> str:
        """In words."""
        low, expected, most = (f"{100 * share:.1f}" for share in (self.low, self.expected, self.most))
        return f"{plural(self.trials, 'more trial')} would lower the best score by {expected} % ({low} to {most} %)"


class TransferSampler(BaseSampler):
    """See the module's words.

    `suggest` is the study's space, `base` what its suggestions are laid over, `rest` makes the other sampler, by a number;
    `without_critic` are the sources of which the generator alone is transferred.
    """

    def __init__(
        self,
        prior: Prior,
        base: TrialConfig,
        suggest: Callable[[optuna.Trial], object],
        first: Sequence[Parameters],
        seed: int,
        rest: Callable[[int], BaseSampler],
        without_critic: Collection[str] = (),
    ) -> None:
        self._prior, self._base, self._seed = prior, base, seed
        self._without_critic = without_critic
        self._new_rest, self._rest = rest, rest(0)
        trials = drawn(suggest, first, seed)
        self._candidates = self._distinct(trials)
        self._space = {name: kind for one in self._candidates for name, kind in one.distributions.items()}
        levels = {self._level_of(trial) for trial in trials}
        self._asked = [one.case for one in self._candidates]
        self._asked += [case._replace(level=level) for case in self._asked[:1] for level in sorted(levels)]
        self._model = self._told_of(self._asked)
        self._known: dict[tuple[int, int], tuple[float, float] | None] = {}
        self._moved_on: dict[tuple[str, str, int, int], tuple[float, float] | None] = {}
        self._cases: dict[int, Case | None] = {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """The other sampler begins anew with each trial, so that a resumed search draws what it would have drawn."""
        self._rest = self._new_rest(trial.number)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is proposed; a trial that is planned whole needs nothing."""
        fixed = trial.system_attrs.get("fixed_params", {})
        return {name: kind for name, kind in self._space.items() if name not in fixed}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the most promising candidate that agrees with what is planned."""
        fixed = trial.system_attrs.get("fixed_params", {})
        if not self._candidates or ("source" in fixed and any(name in fixed for name in _RATES)):
            return {}
        others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        chosen = self.propose(others, trial.number, fixed)
        if chosen is None:
            return {}
        return {name: value for name, value in chosen.parameters.items() if name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the model knows nothing of."""
        return self._rest.sample_independent(study, trial, param_name, param_distribution)

    def propose(self, trials: Sequence[FrozenTrial], number: int, fixed: Parameters) -> Candidate | None:
        """The candidate to try next, after these trials; None if none agrees with the parameters that are fixed."""
        agreeing = [one for one in self._candidates if one.agrees(fixed)]
        if not agreeing:
            return None
        seen = self.belief(trials)
        rng = np.random.default_rng([self._seed, number])
        fresh = [one for one in agreeing if one.place not in seen.tried] or agreeing
        if number >= CONTROL and all(arm != SCRATCH_ARM for arm, _ in seen.tried):
            fresh = [one for one in fresh if one.case.arm == SCRATCH_ARM] or fresh
        first = np.argsort(-self._promise(seen, fresh), kind="stable")[:_NEAR]
        fresh += [moved for place in first for moved in self._moved(fresh[int(place)], rng, fixed)]
        return fresh[int(np.argmax(self._promise(seen, fresh)))]

    def outlook(self, trials: Sequence[FrozenTrial], count: int) -> Outlook | None:
        """What so many more trials, the most promising ones, would gain over the best arm and rates so far; None if there is
        no score to gain on.

        In each draw of what is believed the arms have true scores, of an endless number of trials each. That of the trial so
        far whose mean is best is what there is; that of the best of all, were each known exactly, is what there would be.
        """
        seen = self.belief(trials)
        if seen.best is None:
            return None
        fresh = [one for one in self._candidates if one.place not in seen.tried]
        first = np.argsort(-self._promise(seen, fresh), kind="stable")[:count] if fresh else ()
        more = [fresh[int(place)].case._replace(level=seen.level) for place in first]
        tried = [self._prior.case(arm, rates)._replace(level=seen.level) for arm, rates in sorted(seen.tried, key=str)]
        now = seen.belief.mean(tried)
        best_now = now[:, int(now.mean(0).argmin())]
        best_then = np.column_stack([now, seen.belief.mean(more)] if more else [now]).min(1)
        low, expected, most = np.percentile(1 - np.exp(best_then - best_now), [5.0, 50.0, 95.0])
        return Outlook(count, float(expected), float(low), float(most))

    def belief(self, trials: Sequence[FrozenTrial]) -> "Seen":
        """What the prior and these trials make likely."""
        told: list[tuple[Case, float]] = []
        through: list[tuple[Case, float]] = []
        lost: list[Case] = []
        running: list[Case] = []
        stopped: list[Case] = []
        cases = {trial.number: case for trial in trials if (case := self._case_of(trial))}
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.number in cases]
        own = [curve for trial in complete if (curve := self._curve(trial, cases[trial.number]))]
        for trial in trials:
            case = cases.get(trial.number)
            if case is None:
                continue
            if (found := self._score_of(trial, case, own)) is not None:
                told.append((case._replace(error=found[1]), found[0]))
                if trial.state is TrialState.COMPLETE:
                    through.append(told[-1])
            elif trial.state is TrialState.PRUNED and not _came_to_nothing(trial):
                stopped.append(case)  # of which no curve tells what it would have come to
            else:
                (lost if trial.state.is_finished() else running).append(case)
        tried = {(case.arm, case.rates) for case in (*(case for case, _ in told), *lost, *running, *stopped)}
        level = Counter(case.level for case, _ in told).most_common(1)[0][0] if told else self._prior.level
        if told:
            worst = max(score for _, score in told) + _LOST
            told += [(case, worst) for case in lost]
        belief = self._after(told, running)
        if running:  # taken for what is expected of them, so that what comes next is something else
            expected = belief.mean(running).mean(0)
            belief = self._after([*told, *zip(running, map(float, expected), strict=True)])
        best = min((score for case, score in through if case.level == level), default=None)
        return Seen(belief, level, best, tried)

    def _after(self, told: Sequence[tuple[Case, float]], asked: Sequence[Case] = ()) -> Belief:
        cases, logs = [case for case, _ in told], np.array([score for _, score in told])
        strangers = [case for case in (*cases, *asked) if not self._model.knows(case)]
        model = self._told_of([*self._asked, *strangers]) if strangers else self._model
        return model.after(cases, logs, _DRAWS, self._seed)

    def _told_of(self, asked: Sequence[Case]) -> Model:
        return Model(self._prior.cases, self._prior.log_scores, asked, self._prior.scales)

    def _promise(self, seen: "Seen", candidates: Sequence[Candidate]) -> Floats:
        """(candidates,) expected improvement per second, of a single trial each."""
        mean = seen.belief.mean([one.case._replace(level=seen.level) for one in candidates])
        goal = mean.mean(1, keepdims=True) if seen.best is None else seen.best
        spread = seen.belief.sigma[:, None]
        z = (goal - mean) / spread
        gain: Floats = (spread * (z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))).mean(0)
        seconds = np.array([self._prior.seconds(one.case.arm.method) for one in candidates])
        promise: Floats = gain / seconds
        return promise

    def _moved(self, one: Candidate, rng: np.random.Generator, fixed: Parameters) -> list[Candidate]:
        """The candidate with other learning rates near its own, as far as the space has ranges of them and they fit."""
        ranges = {
            name: kind
            for name in _RATES
            if name not in fixed
            and isinstance(kind := one.distributions.get(name), FloatDistribution)
            and not kind.step
        }
        if not ranges or one.case.rates is None:
            return []
        found = []
        for _ in range(_NEAR):
            values = {
                name: float(np.clip(one.parameters[name] * math.exp(rng.normal(0, _SPREAD)), kind.low, kind.high))
                for name, kind in ranges.items()
            }
            with suppress(UserError):
                found.append(self._candidate({**one.parameters, **one.beside, **values}, one.distributions))
        return found

    def _distinct(self, trials: Sequence[FrozenTrial]) -> list[Candidate]:
        """Candidates that make images and that the model tells apart, with the parameters that are proposed alone."""
        found: dict[tuple[Arm, Rates | None], Candidate] = {}
        for trial in trials:
            kinds = {name: kind for name, kind in trial.distributions.items() if name in MODELLED}
            with suppress(UserError):  # which its trial will say
                one = self._candidate(trial.params, kinds)
                if one.case.arm.makes_images:
                    found.setdefault(one.place, one)
        return list(found.values())

    def _candidate(self, parameters: Parameters, kinds: Mapping[str, BaseDistribution]) -> Candidate:
        config = overlaid(self._base, parameters, "the study's space", self._without_critic)
        shown = {name: parameters[name] for name in kinds}
        beside = {name: value for name, value in parameters.items() if name not in kinds}
        return Candidate(shown, kinds, self._prior.case(Arm.of(config), config.rates), beside)

    def _case_of(self, trial: FrozenTrial) -> Case | None:
        """What the model knows of a trial; None of one that waits, whose suggestions come to no config, or that makes no images:
        how near its source's own ones are tells nothing of any way. Of one that ended it is kept.
        """
        if trial.state is TrialState.WAITING:
            return None
        if trial.number not in self._cases or not trial.state.is_finished():
            self._cases[trial.number] = self._new_case_of(trial)
        return self._cases[trial.number]

    def _new_case_of(self, trial: FrozenTrial) -> Case | None:
        try:
            config = overlaid(self._base, trial.params, "the study's space", self._without_critic)
        except UserError:
            return None
        arm = Arm.of(config)
        if not arm.makes_images:
            return None
        return self._prior.case(arm, config.rates)._replace(level=self._level_of(trial), study="this one")

    def _level_of(self, trial: FrozenTrial) -> str:
        size = trial.params.get("data/target_images")
        return self._prior.level if size is None else level_of(self._prior.target, Data(target_images=size))

    def _score_of(self, trial: FrozenTrial, case: Case, own: Sequence[Curve]) -> tuple[float, float] | None:
        """Its log score at the whole budget, with its error; None if it has no score yet, never had, or nothing tells of it.

        `own` are the curves of the search's trials that came through: they tell where earlier ones do not.
        """
        if trial.state is TrialState.COMPLETE and trial.value is not None and trial.value > 0:
            return math.log(trial.value), 0.0
        curve = None if trial.state is TrialState.FAIL or _came_to_nothing(trial) else self._curve(trial, case)
        if curve is None:
            return None
        end = max(curve.scores)
        key = trial.number, end
        if key not in self._known:
            self._known[key] = carried(curve, self._prior.images, self._prior.curves)
        if (found := self._known[key]) or not own:
            return found
        way = case.arm.method, case.arm.parts, end, len(own)  # all that progress goes by among trials of one target
        if way not in self._moved_on:
            self._moved_on[way] = progress(curve, end, max(end, self._prior.images), own)
        moved = self._moved_on[way]
        return moved and (curve.at(end) + moved[0], moved[1])

    def _curve(self, trial: FrozenTrial, case: Case) -> Curve | None:
        """What a trial was seen to come to after its first image; None where it was not."""
        steps = {images: value for images, value in trial.intermediate_values.items() if images and value > 0}
        scores = {images: math.log(steps[images]) for images in sorted(steps)}
        where = "this one", trial.number, self._prior.target, self._prior.level, case.arm
        return Curve(*where, scores, trial.state is not TrialState.COMPLETE, 0.0, self._base) if scores else None


def _came_to_nothing(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get("status") == "diverged")


def drawn(suggest: Callable[[optuna.Trial], object], first: Sequence[Parameters], seed: int) -> list[FrozenTrial]:
    """The space's first trials and random ones of it, each once, told to nobody; the same for the same seed.

    What the space refuses is left out.
    """
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for parameters in first:
        study.enqueue_trial(dict(parameters))
    fitting: dict[tuple[tuple[str, Any], ...], int] = {}
    for _ in range(_TRIES * CANDIDATES):
        if len(fitting) == CANDIDATES + len(first):
            break
        trial = study.ask()
        with suppress(UserError):
            suggest(trial)
            fitting.setdefault(tuple(trial.params.items()), trial.number)
    trials = study.get_trials(deepcopy=False)
    return [trials[number] for number in fitting.values()]


def sampler_of(spec: StudySpec, space: Space, paths: StudyPaths, first: Sequence[Parameters]) -> TransferSampler:
    """The sampler of a study, whose space names these trials to begin with: candidates like others here."""

    def suggest(trial: optuna.Trial) -> None:
        trial_config(spec, space, trial)

    return TransferSampler(
        prior_of(spec, paths),
        spec.base,
        suggest,
        first,
        spec.seed,
        lambda number: sampler(spec, number),
        spec.without_critic,
    )
