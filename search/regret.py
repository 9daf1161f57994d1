"""How each way of choosing a source would have done, target by target, each time knowing the other targets' trials only.

The truth of an arm (scratch, or a source with the parts transferred) on a target is its score at the best of its
settings, the geometric mean over seeds, with the number of target images that most trials had. `rank` is what it says
today: the weights that ship, and what sources did on the other targets. A way that names a
source alone is given the paper's parts, both, or the best of those tried where both was not. The regret of a choice is
its score less the best arm's, and their ratio: 0 and 1 for the oracle.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.elsewhere import on_others, truth
from search.picking.evidence import Evidence, Pool, gather
from search.picking.pick import DEFAULT_PARTS, judge
from search.prediction import expected, shipped
from search.ranking import rank_sources
from spaces.errors import UserError
from spaces.trials import takes_domains
from trainables.images.domains import open_domain
from trainables.sources.likeness import distance_names
from trainables.sources.shelf import open_source
from trainables.storage.home import Home

Truth = Mapping[Arm, float]

Choose = Callable[[str], Arm | None]


@dataclass(frozen=True)
class Choice:
    """What a way of choosing took for a target; a random one takes none in particular."""

    target: str
    took: str
    score: float
    best: float

    @property
    def regret(self) -> float:
        """In units of the metric."""
        return self.score - self.best

    @property
    def ratio(self) -> float:
        """Of the score to the best one."""
        return self.score / self.best


@dataclass(frozen=True)
class Way:
    """A way of choosing, over all targets."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def total(self) -> float:
        """Sum of regrets."""
        return sum(choice.regret for choice in self.choices)

    @property
    def mean_ratio(self) -> float:
        """Geometric mean of score over best: 1.1 is 10 % worse than the oracle."""
        return float(np.exp(np.mean(np.log([choice.ratio for choice in self.choices]))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        regrets = [asdict(choice) | {"regret": choice.regret} for choice in self.choices]
        return {"name": self.name, "sum_of_regrets": self.total, "mean_ratio": self.mean_ratio, "choices": regrets}

    @property
    def hits(self) -> int:
        """Targets for which it took the best arm."""
        return sum(choice.regret <= 1e-9 for choice in self.choices)


def of_home(home: Home, studies: Sequence[str] | None) -> tuple[Evidence, list[Way], list[str]]:
    """The regrets over the studies of a home that were measured alike and have the most targets; and what was left out.

    Studies from before there were rankings have their sources ranked now. UserError if fewer than two targets have
    trials of two arms each.
    """
    found, notes = gather(home, studies)
    pairs = [(pool, pool.at(_budget(pool))) for pool in found]
    pool, evidence = max(pairs, key=lambda pair: (len(_truths(pair[1])), len(pair[1].tried)), default=(None, None))
    if pool is None or evidence is None or len(_truths(evidence)) < 2:
        there = ", ".join(sorted({target for _, e in pairs for target in e.targets})) or "none"
        raise UserError(
            f"leaving out a target takes studies of two targets at least, measured alike; there: {there}; search another "
            "target with the same --space"
        )
    notes += [other.left_out() for other in found if other is not pool]
    notes += _rank_where_none_was(home, evidence)
    return evidence, leave_one_out(evidence, partial(_without, pool, evidence)), notes


def _without(pool: Pool, evidence: Evidence, target: str) -> Evidence:
    """What the other targets say: nor do this one's curves tell how far their trials would have come."""
    return replace(evidence.without(target), tried=pool.without(target).at(evidence.images).tried)


def _budget(pool: Pool) -> int:
    """The least of the budgets that the targets favour: at that, all of them were measured."""
    return min(pool.budget(target) for target in {curve.target for curve in pool.curves})


def _rank_where_none_was(home: Home, evidence: Evidence) -> list[str]:
    """Rank the sources of targets whose studies began without a ranking; a word on those that can't be ranked now."""
    notes = []
    for target in _truths(evidence):
        if evidence.likeness.get(target):
            continue
        try:
            models = [
                open_source(home, name) for name in sorted({one.source for one in evidence.of(target) if one.source})
            ]
            protocol = evidence.of(target)[0].config.protocol
            ranking = rank_sources(home, open_domain(home, target), models, protocol, elsewhere=())
        except UserError as error:
            notes.append(f"the sources of target {target!r} were not ranked: {error}")
            continue
        evidence.likeness[target] = {row.source: row.parts for row in ranking.rows}
        evidence.rankings.setdefault(target, ranking.distances)
    return notes


def _truths(evidence: Evidence) -> dict[str, dict[Arm, float]]:
    """Of every target that has trials of two arms at least."""
    return {target: arms for target in evidence.targets if len(arms := truth(evidence.of(target))) > 1}


def leave_one_out(evidence: Evidence, without: Callable[[str], Evidence] | None = None) -> list[Way]:
    """Every way of choosing, on every target that has trials of two arms at least; "rank" only where all were ranked.

    A way that came to a source drawn at random on a target where none was tried is left out.

    `without` gives what is known with a target left out, by default the evidence less that target's trials.
    """
    truths = _truths(evidence)
    known = {target: (without or evidence.without)(target) for target in truths}
    found = []
    for name, choose in _ways(evidence, truths, known).items():
        choices = [_choice(target, choose(target), arms) for target, arms in truths.items()]
        if all(choices):
            found.append(Way(name, tuple(choice for choice in choices if choice)))
    return found


def _ways(evidence: Evidence, truths: Mapping[str, Truth], known: Mapping[str, Evidence]) -> dict[str, Choose]:
    """Ways of choosing by name: each takes a target and gives an arm that was tried there, or None for any source.

    `known` is, of each target, what the others tell.
    """

    def lowest(of: Mapping[str, float], target: str) -> Arm | None:
        there = [source for source in of if _with_parts(source, truths[target])]
        return _with_parts(min(there, key=lambda source: of[source]), truths[target]) if there else None

    def always(source: str, target: str) -> Arm | None:
        return _with_parts(source, truths[target])

    ways: dict[str, Choose] = {
        "oracle": lambda target: min(truths[target], key=lambda arm: truths[target][arm]),
        "pick, from the other targets": lambda target: _picked(known[target], target, truths[target]),
    }
    if all(evidence.likeness.get(target) for target in truths):
        ways["rank"] = lambda target: lowest(_ranked(known[target], evidence, target), target)
    ways |= {
        "the paper's selector": lambda target: lowest(evidence.rankings.get(target, {}), target),
        "best source of the other targets": lambda target: lowest(_elsewhere(_truths(known[target])), target),
    }
    sources = sorted({arm.source for arms in truths.values() for arm in arms if arm.source})
    ways |= {f"always {source}": partial(always, source) for source in sources}
    return ways | {"random source": lambda _: None, "always scratch": lambda _: SCRATCH_ARM}


def _choice(target: str, arm: Arm | None, arms: Truth) -> Choice | None:
    """What taking `arm` comes to; None, or one that was not tried on this target, stands for a source drawn at random.

    None if there is none to draw.
    """
    best = min(arms.values())
    if arm in arms:
        assert arm is not None, "None is no arm"
        return Choice(target, str(arm), arms[arm], best)
    one_each = [arm for source in _sources(arms) if (arm := _with_parts(source, arms))]
    return Choice(target, "any", float(np.mean([arms[arm] for arm in one_each])), best) if one_each else None


def _sources(arms: Truth) -> list[str]:
    return sorted({arm.source for arm in arms if arm.source})


def _with_parts(source: str, arms: Truth) -> Arm | None:
    """The source with both networks, if that was tried, else with the best parts; None if it was not tried."""
    tried = {arm: score for arm, score in arms.items() if arm.source == source}
    both = Arm.finetuned(source, DEFAULT_PARTS)
    return both if both in tried else min(tried, key=lambda arm: tried[arm], default=None)


def _picked(known: Evidence, target: str, arms: Truth) -> Arm | None:
    """What `pick` takes by the other targets' trials, of the arms whose truth is known."""
    domains: dict[str, list[str]] = defaultdict(list)
    for arm in arms:
        if arm.source and takes_domains(arm.method):
            domains[arm.method].append(arm.source)
    judged = judge(known, target, _sources(arms), domains=domains, with_shots=True)
    return next((judged.arms[i] for i in judged.order if judged.arms[i] in arms), None)


def _ranked(known: Evidence, evidence: Evidence, target: str) -> dict[str, float]:
    """What `rank` expects of each source by its likeness and the other targets' trials, as a log score."""
    names = distance_names(evidence.tried[0].config.protocol)
    found = evidence.likeness[target]
    return expected(found, names, shipped(), on_others(known, target, names)) if found else {}


def _elsewhere(truths: Mapping[str, Truth]) -> dict[str, float]:
    """Of each source, how far above the best it comes out on these targets, as a mean log ratio."""
    gaps: dict[str, list[float]] = defaultdict(list)
    for arms in truths.values():
        for source in _sources(arms):
            arm = _with_parts(source, arms)
            gaps[source].append(float(np.log(arms[arm] / min(arms.values()))) if arm else 0.0)
    return {source: float(np.mean(values)) for source, values in gaps.items()}
