"""Learns the weights of `rank` from the studies of a home, and says what they are worth on targets left out.

    python -m benchmarks.judging.rank_weights --home HOME [--write]

A target counts with the sources of which both networks were fine-tuned on it, each by the geometric mean of its scores over
seeds. Each target is left out in turn: the weights are learnt from the others, its sources predicted, and what the choice
costs is summed beside other ways of choosing (see `search.regret`), with how often the prediction's 90 % intervals held what
came. With --write the weights of all targets become those that ship with the package.
"""

import argparse
import datetime
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import search.prediction
from search.picking.evidence import Evidence, gather
from search.prediction import Prediction, Seen, Weights, expected, fit, predict, scaled
from trainables.images.domains import open_domain
from trainables.sources.likeness import Part, distance_names, likeness
from trainables.sources.shelf import open_source
from trainables.storage.home import Home, writing


@dataclass(frozen=True)
class Target:
    """A target's sources: what was measured of them before training, and what came of them."""

    found: Mapping[str, Mapping[str, Part]]
    scores: Mapping[str, float]
    distances: tuple[str, str]

    @property
    def seen(self) -> Seen:
        """As the model takes them."""
        x = np.array([scaled(parts, self.distances) for parts in self.found.values()])
        return Seen(tuple(self.found), x, np.log([self.scores[source] for source in self.found]))


def targets_of(home: Home) -> dict[str, Target]:
    """The targets of the bench with the most trials that have three sources at least."""
    pool = gather(home)[0][0]
    evidence = pool.at(pool.budget())
    protocol = evidence.tried[0].config.protocol
    found = {}
    for name in evidence.targets:
        scores = _scores(evidence, name)
        if len(scores) >= 3:
            target = open_domain(home, name)
            parts = {source: likeness(home, target, open_source(home, source), protocol) for source in scores}
            found[name] = Target(parts, scores, distance_names(protocol))
    return found


def _scores(evidence: Evidence, target: str) -> dict[str, float]:
    logs: dict[str, list[float]] = defaultdict(list)
    for one in evidence.of(target):
        if one.arm.source is not None and one.arm.parts == "both" and not one.error:
            logs[one.arm.source].append(np.log(one.score))
    return {source: float(np.exp(np.mean(each))) for source, each in sorted(logs.items())}


def predicted(targets: Mapping[str, Target], name: str) -> dict[str, Prediction]:
    """The prediction for a target, its weights and the sources' effects learnt from the others alone."""
    others = [target.seen for other, target in targets.items() if other != name]
    return predict(targets[name].found, targets[name].distances, fit(others, "all but one"), others)


def held(targets: Mapping[str, Target]) -> list[bool]:
    """Of each source on each target left out, whether its score beside its best rival's lay within the interval."""
    found = []
    for name, target in targets.items():
        for source, told in predicted(targets, name).items():
            rival = min(score for other, score in target.scores.items() if other != source)
            found.append(told.low <= target.scores[source] / rival <= told.high)
    return found


def ways(targets: Mapping[str, Target]) -> dict[str, Callable[[str], str]]:
    """Ways of choosing a source for a target by the others alone, by name."""

    def learnt(name: str) -> str:
        others = [target.seen for other, target in targets.items() if other != name]
        told = expected(targets[name].found, targets[name].distances, fit(others, "all but one"), others)
        return min(told, key=lambda source: told[source])

    def constant(name: str) -> str:
        gaps: dict[str, list[float]] = defaultdict(list)
        for other, target in targets.items():
            for source, score in target.scores.items() if other != name else ():
                gaps[source].append(np.log(score / min(target.scores.values())))
        there = [source for source in targets[name].scores if source in gaps]
        return min(there, key=lambda source: np.mean(gaps[source]))

    def selector(name: str) -> str:
        frechet = targets[name].distances[0]
        return min(targets[name].found, key=lambda source: targets[name].found[source][frechet].value or np.inf)

    return {"learnt weights": learnt, "the paper's selector": selector, "best constant source elsewhere": constant}


def show(targets: Mapping[str, Target]) -> Weights:
    """Print the regrets of each way of choosing and the weights of all targets; gives these."""
    print(f"{'':32}" + "".join(f"{name:>15}" for name in targets) + f"{'sum':>10}")
    for way, choose in ways(targets).items():
        regrets = [target.scores[choose(name)] - min(target.scores.values()) for name, target in targets.items()]
        print(f"{way:32}" + "".join(f"{regret:15,.0f}" for regret in regrets) + f"{sum(regrets):10,.0f}")
    at_random = [np.mean(list(t.scores.values())) - min(t.scores.values()) for t in targets.values()]
    print(f"{'a random source':32}" + "".join(f"{r:15,.0f}" for r in at_random) + f"{sum(at_random):10,.0f}")
    within = held(targets)
    print(
        f"of {len(within)} sources on targets left out, {sum(within)} came to lie within the prediction's 90 % interval"
    )
    pairs = sum(len(target.scores) for target in targets.values())
    about = (
        f"{len(targets)} photo targets of 32 pixels ({', '.join(targets)}), {pairs} pairs of target and source, both networks "
        f"fine-tuned; {datetime.date.today()}"
    )
    weights = fit([target.seen for target in targets.values()], about)
    for part, mean, variance in zip(weights.parts, weights.mean, np.diag(weights.covariance), strict=True):
        print(f"{part:20} {mean:+.3f} +- {np.sqrt(variance):.3f} a standard deviation")
    print(
        f"sources differ beyond that by {weights.tau:.3f} (tau), their trials on single targets by {weights.sigma:.3f} (sigma)"
    )
    return weights


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="put the weights into the package")
    given = parser.parse_args()
    weights = show(targets_of(Home(given.home)))
    if given.write:
        path = Path(search.prediction.__file__).with_suffix(".json")
        with writing(path) as beside:
            beside.write_text(weights.model_dump_json(indent=1) + "\n")
