"""What came of sources on the other targets of a home, as the prediction of a ranking takes it."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from search.picking.arms import Arm
from search.picking.evidence import Evidence, Tried, gather
from search.prediction import Seen, scaled
from search.records.results import flat_config
from spaces.trials import DEFAULT_METHOD
from trainables.images.domains import Domain
from trainables.storage.home import Home

_ASIDE = ("seed", "data/seed", "protocol/", "budget/")
"""How settings begin that are chance, or that scores of one bench and budget have alike."""


def of_home(home: Home, target: Domain, distances: tuple[str, str]) -> tuple[tuple[Seen, ...], list[str]]:
    """What this home's trials on other targets say of sources, and a word on studies that can't be read.

    Those trials count that were measured alike, of the target's resolution and by the metric that the ranking's Frechet
    distance is: of such groups the largest.
    """
    pools, notes = gather(home)
    fitting = (
        pool
        for pool in pools
        if pool.bench.metric == distances[0] and pool.bench.network.resolution == target.facts.resolution
    )
    pool = next(fitting, None)
    return (on_others(pool.at(pool.budget()), target.facts.name, distances) if pool else ()), notes


def on_others(evidence: Evidence, target: str, distances: tuple[str, str]) -> tuple[Seen, ...]:
    """Every other target on which two sources at least had both networks fine-tuned: the sources, by their best settings."""
    found = []
    for other in evidence.targets:
        arms = truth(evidence.of(other)) if other != target else {}
        scores = {
            arm.source: score
            for arm, score in arms.items()
            if arm.source and (arm.method, arm.parts) == (DEFAULT_METHOD, "both")
        }
        if len(scores) > 1:
            likeness = evidence.likeness.get(other, {})
            x = np.array([scaled(likeness.get(source, {}), distances) for source in scores])
            found.append(Seen(tuple(scores), x, np.log(list(scores.values()))))
    return tuple(found)


def _main_level(trials: Sequence[Tried]) -> str | None:
    """What most trials of a target have for a level: with how many of its images they are."""
    return next((level for level, _ in Counter(one.level for one in trials).most_common(1)), None)


def truth(trials: Sequence[Tried]) -> dict[Arm, float]:
    """Each arm's score on a target, from its trials: at the best of its settings, the geometric mean over seeds."""
    logs: dict[tuple[Arm, str], list[float]] = defaultdict(list)
    level = _main_level(trials)
    for one in trials:
        if one.level == level:
            settings = {name: value for name, value in flat_config(one.config).items() if not name.startswith(_ASIDE)}
            logs[one.arm, str(settings)].append(np.log(one.score))
    arms: dict[Arm, float] = {}
    for (arm, _), scores in logs.items():
        arms[arm] = min(arms.get(arm, np.inf), float(np.exp(np.mean(scores))))
    return arms
