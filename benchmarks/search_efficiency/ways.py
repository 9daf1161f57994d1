"""Ways to search: each spends a replay's time as it would spend a machine's, knowing the other targets' trials or nothing."""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from benchmarks.search_efficiency.replay import Replay, Suggest, by_optuna
from benchmarks.search_efficiency.table import Cell, Target
from search.curve_stopping import CurveStopping
from search.picking.arms import SCRATCH_ARM, Arm, Rates
from search.picking.evidence import pools
from search.prediction import Weights, expected, fit
from search.prior import Prior
from search.running.suggested import NEAREST
from search.sampling import RecentTPESampler
from search.transfer_sampler import TransferSampler
from spaces.errors import UserError
from trainables.sources.likeness import distance_names

Others = Sequence[Target]
"""The targets whose trials may be known."""
Way = Callable[[Replay, Others], None]

DEFAULT_RATES = (1e-3, 1e-3)
"""Those of the spaces' first trials."""
_TRIALS = 24
"""Of a search that its user says nothing of; TPE begins after a quarter of them."""


def conditional(target: Target, apart: bool = False) -> Suggest:
    """The grid as understock's spaces lay it out: rates and parts only where they mean something.

    Rates are one choice of a pair, or two `apart`, which refuse a pair that was not recorded.
    """
    suggested_rates = _apart if apart else _paired
    sources = [*target.sources, "scratch"]

    def suggest(trial: optuna.Trial) -> Cell:
        source = trial.suggest_categorical("source", sources)
        arms = sorted({cell.arm for cell in target.cells if (cell.arm.source or "scratch") == source}, key=str)
        methods = sorted({arm.method for arm in arms}, reverse=True)  # fine-tuning by default: the first
        method = methods[0]
        if source != "scratch" and len(methods) > 1:
            method = trial.suggest_categorical("method", sorted(methods, key=lambda each: each != SCRATCH_ARM.method))
        arms = [arm for arm in arms if arm.method == method]
        if method != SCRATCH_ARM.method:
            return target.nearest(arms[0], None)
        rates = suggested_rates(trial, target)
        if source == "scratch":
            return target.nearest(SCRATCH_ARM, rates)
        parts = sorted(arm.parts for arm in arms)
        chosen = trial.suggest_categorical("transfer/parts", parts) if len(parts) > 1 else parts[0]
        return target.nearest(Arm.finetuned(source, chosen), rates)

    return suggest


def flat(target: Target) -> Suggest:
    """The grid for methods that know no conditions: one choice of all arms, and one of rates, which some arms do without."""
    arms = {str(arm): arm for arm in sorted({cell.arm for cell in target.cells}, key=str)}

    def suggest(trial: optuna.Trial) -> Cell:
        arm = arms[trial.suggest_categorical("arm", list(arms))]
        return target.nearest(arm, _paired(trial, target))

    return suggest


def _paired(trial: optuna.Trial, target: Target) -> Rates:
    """A pair that was recorded: a sampler that knew only ranges would propose rates that nobody trained."""
    pairs = {str(pair): pair for pair in sorted(target.pairs)}
    return pairs[trial.suggest_categorical("rates", list(pairs))]


def _apart(trial: optuna.Trial, target: Target) -> Rates:
    """One value of the grid each, as the sampler `transfer` wants them."""
    found = []
    for place, name in enumerate(("optim/lr_g", "optim/lr_d")):
        values = sorted({pair[place] for pair in target.pairs})
        found.append(float(trial.suggest_categorical(name, values)) if len(values) > 1 else values[0])
    if (found[0], found[1]) not in target.pairs:
        raise UserError(f"no trial at the rates {found} was recorded")
    return found[0], found[1]


def grid(replay: Replay, others: Others) -> None:
    """Every cell once, in random order."""
    for place in np.random.default_rng(replay.seed).permutation(len(replay.target.cells)):
        if replay.over:
            return
        replay.to_the_end(replay.target.cells[int(place)])


def _tpe(seed: int) -> TPESampler:
    return TPESampler(seed=seed, multivariate=True, group=True)


def _ours_before(seed: int) -> TPESampler:
    """As `search.sampling` makes it."""
    return RecentTPESampler(
        seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=max(5, _TRIALS // 4)
    )


def _asha(replay: Replay) -> BasePruner:
    return TunesAsha(replay.target.images)


def _hyperband(replay: Replay) -> BasePruner:
    first = min(run.images[0] for cell in replay.target.cells if cell.rates for run in cell.runs)
    return HyperbandPruner(min_resource=first, max_resource=replay.target.images, reduction_factor=3)


def sampled(
    replay: Replay,
    others: Others,
    sampler: Callable[[int], optuna.samplers.BaseSampler],
    pruner: Callable[[Replay], BasePruner] | None = None,
    layout: Callable[[Target], Suggest] = conditional,
) -> None:
    """A sampler of Optuna's, with or without early stopping."""
    by_optuna(replay, sampler(replay.seed), layout(replay.target), pruner and pruner(replay))


def understock_before(replay: Replay, others: Others) -> None:
    """Ranking, each source once in its order, scratch, then TPE; with ASHA. What a search was without knowing others."""
    target = replay.target
    replay.clock += target.ranking_seconds
    rates = {"rates": str(DEFAULT_RATES)}
    both = {"method": "finetune", "transfer/parts": "both"}
    first = tuple({"source": source, **both, **rates} for source in ranked(target, tuple(others)))
    planned = (*first, {"source": "scratch", **rates})
    by_optuna(replay, _ours_before(replay.seed), conditional(target), _asha(replay), planned, spares_scratch=True)


def followed(replay: Replay, source: str | None) -> None:
    """One source, both its networks at the default rates; and what else there is of it, in random order, after that."""
    own = [cell for cell in replay.target.cells if cell.arm.source == source and cell.rates]
    if source is None or not own:
        return
    both = Arm.finetuned(source, "both")
    start = replay.target.nearest(both if any(cell.arm == both for cell in own) else own[0].arm, DEFAULT_RATES)
    order = np.random.default_rng(replay.seed).permutation(len(own))
    for cell in (start, *(own[int(place)] for place in order)):
        if replay.over:
            return
        if cell is not start or not replay.trace:
            replay.to_the_end(cell)


def constant_source(replay: Replay, others: Others) -> None:
    """The source that was best on the other targets, in the mean of its log score over their best."""
    gaps: dict[str, list[float]] = {}
    for other in others:
        for source in other.sources:
            scores = [cell.true for cell in other.cells if cell.arm.source == source and cell.rates]
            if scores:
                gaps.setdefault(source, []).append(math.log(min(scores) / other.best))
    there = [source for source in replay.target.sources if source in gaps]
    followed(replay, min(there, key=lambda source: float(np.mean(gaps[source])), default=None))


def papers_selector(replay: Replay, others: Others) -> None:
    """The source at the least Frechet distance, as the paper chooses."""
    replay.clock += replay.target.ranking_seconds
    distances = replay.target.distances
    followed(replay, min(distances, key=lambda source: distances[source], default=None))


def by_curves(target: Target, others: Others) -> CurveStopping:
    """What stops trials by their curves, told of the other targets'."""
    return CurveStopping(target.name, target.images, prior_of(target, tuple(others), ())[0].curves, target.base)


def random_by_curves(replay: Replay, others: Others) -> None:
    """Random search that stops trials by their curves."""
    with replay.thinking():
        judge = by_curves(replay.target, others)
    by_optuna(replay, _random(replay.seed), conditional(replay.target), judge=judge, spares_scratch=True)


def ours(
    replay: Replay,
    others: Others,
    pruner: Callable[[Replay], BasePruner] | None = None,
    curves: bool = False,
    known: bool = True,
) -> None:
    """The sampler `transfer`, from what the other targets' trials tell, behind the nearest sources as the space begins with
    them; or from its own trials alone, if nothing is `known`.
    """
    target, told = replay.target, tuple(others) if known else ()
    prior, seconds = prior_of(target, told, tuple(others))
    replay.clock += target.ranking_seconds + seconds
    suggest = conditional(target, apart=True)
    with replay.thinking():
        sampler = TransferSampler(prior, target.base, suggest, (), replay.seed, _random)
    rates = dict(zip(("optim/lr_g", "optim/lr_d"), DEFAULT_RATES, strict=True))
    both = {"method": "finetune", "transfer/parts": "both", **rates}
    first = tuple({"source": source, **both} for source in ranked(target, tuple(others))[:NEAREST])
    judge = by_curves(target, told) if curves else None
    by_optuna(replay, sampler, suggest, pruner and pruner(replay), first, judge, spares_scratch=True)


@cache
def prior_of(target: Target, told: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Prior, float]:
    """What the trials that are told tell, and the seconds that it takes to read that; likeness counts as on the others."""
    begun = time.process_time()
    found = pools((study, AsTheyAre()) for other in told for study in other.told)
    of_target = target.name, target.level, target.images, target.distances, target.likeness
    prior = Prior.of(found[0] if found else None, *of_target, weights=weights_of(others))
    return prior, time.process_time() - begun


@cache
def weights_of(targets: tuple[Target, ...]) -> Weights | None:
    """How parts of likeness count on these targets, as the weights that ship were learnt on all of the table; None if none of
    them tells.
    """
    seen = [found for target in targets if (found := target.seen)]
    return fit(seen, "other targets") if seen else None


def ranked(target: Target, others: tuple[Target, ...]) -> list[str]:
    """The target's sources, the best first, as they rank by what came of sources on the others."""
    weights, likeness = weights_of(others), target.likeness
    if weights is None or set(target.sources) - likeness.keys():
        return target.sources
    order = expected(
        {source: likeness[source] for source in target.sources}, distance_names(target.base.protocol), weights
    )
    return sorted(target.sources, key=lambda source: order[source])


class AsTheyAre(dict[str, str]):
    """Every name for itself."""

    def __missing__(self, name: str) -> str:
        return name


class TunesAsha(BasePruner):
    """Ray Tune's own ASHA, asked by Optuna: what stops a search's trials today."""

    def __init__(self, images: int) -> None:
        self._images, self._scheduler, self._trials = images, None, {}
        self._first: int | None = None

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether ASHA stops the trial at its last step."""
        from types import SimpleNamespace

        step = trial.last_step
        assert step is not None, "asked after a report alone"
        if self._scheduler is None:
            self._scheduler = _tunes_scheduler(step, self._images)
        controller: Any = None
        if trial.number not in self._trials:
            self._trials[trial.number] = SimpleNamespace(trial_id=str(trial.number), config={})
            self._scheduler.on_trial_add(controller, self._trials[trial.number])
        result = {"images_seen": step, "score": trial.intermediate_values[step]}
        return bool(self._scheduler.on_trial_result(controller, self._trials[trial.number], result) == "STOP")


def _tunes_scheduler(grace: int, images: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.tune.schedulers import ASHAScheduler
    settings = {"max_t": images, "grace_period": grace, "reduction_factor": 3}
    return ASHAScheduler(time_attr="images_seen", metric="score", mode="min", **settings)


def _random(seed: int) -> RandomSampler:
    return RandomSampler(seed=seed)


def _gp(seed: int) -> GPSampler:
    return GPSampler(seed=seed, n_startup_trials=10, deterministic_objective=False)


RANDOM = "random search"

WAYS: Mapping[str, Way] = {
    "grid in random order": grid,
    RANDOM: partial(sampled, sampler=_random),
    "TPE": partial(sampled, sampler=_tpe),
    "GP": partial(sampled, sampler=_gp, layout=flat),
    "ASHA + random": partial(sampled, sampler=_random, pruner=_asha),
    "ASHA + TPE": partial(sampled, sampler=_tpe, pruner=_asha),
    "curves + random": random_by_curves,
    "Hyperband + TPE": partial(sampled, sampler=_tpe, pruner=_hyperband),
    "best constant source": constant_source,
    "paper's selector": papers_selector,
    "understock before": understock_before,
    "transfer, nothing known": partial(ours, known=False),
    "transfer + curves, nothing known": partial(ours, curves=True, known=False),
    "transfer": ours,
    "transfer + ASHA": partial(ours, pruner=_asha),
    "transfer + curves": partial(ours, curves=True),
}
"""`peers` has those that another package knows."""
