"""What earlier trials tell a search: those of its bench, of the home's other studies and of the table that ships.

It is written beside the study's spec before the first trial is asked for, so that a search that is resumed goes by what it went
by, whatever the home has learnt since.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from search.picking.arms import Arm, Rates
from search.picking.bench import Bench, Network
from search.picking.curves import Curve
from search.picking.evidence import PICKED_BY, Evidence, Pool, level_of, pools
from search.picking.pick import case_of
from search.picking.recorded import Names, shipped, table_of, told, write_table
from search.picking.scales import Axes
from search.picking.told import Told, ranked_of, told_of
from search.picking.transfer_model import SLOPE, Case, few_scales
from search.prediction import Weights, expected
from search.prediction import shipped as shipped_weights
from search.records.results import flat_config
from search.records.study import StudyPaths, StudySpec, is_begun, open_study
from spaces.counts import plural
from spaces.errors import UserError
from spaces.trials import DEFAULT_METHOD, trains
from trainables.sources.likeness import Part
from trainables.storage.home import Home, fetch

Likeness = Mapping[str, Mapping[str, Part]]
"""Sources, and every part of their likeness to a target."""

MODELLED = ("source", "method", "transfer/parts", "optim/lr_g", "optim/lr_d")
"""The parameters that the model of transfer knows."""

_UNTRAINED = 0.1
"""What a trial that trains nothing costs beside one that does (3 s of 29 in the recorded table), until some were seen."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Earlier trials by their scores at a study's budget, from the view of its target."""

    target: str
    level: str
    images: int
    """The budget."""
    evidence: Evidence
    """With the ranking of the study's own target, whatever else there is."""
    curves: Sequence[Curve]
    cases: Sequence[Case]
    """Of `evidence.tried`, as the model knows them."""
    log_scores: NDArray[np.float64]
    seconds_by_method: Mapping[str, float]
    weights: Weights
    """How the parts of a source's likeness count."""

    @classmethod
    def of(
        cls,
        pool: Pool | None,
        target: str,
        level: str,
        images: int,
        ranking: Mapping[str, float],
        likeness: Likeness = MappingProxyType({}),
        weights: Weights | None = None,
    ) -> "Prior":
        """What a pool tells of a target whose sources are at these distances, and like it in these parts; None tells nothing.

        Without `weights` the parts count as the package's do.
        """
        weights = weights or shipped_weights()
        evidence = pool.at(images) if pool else Evidence(_NO_BENCH, images)
        evidence.rankings = evidence.rankings | {target: {**evidence.rankings.get(target, {}), **ranking}}
        evidence.likeness = evidence.likeness | {target: {**evidence.likeness.get(target, {}), **likeness}}
        cases = [
            nearest_case(evidence, one.target, one.level, one.arm, one.rates, weights)._replace(
                study=one.study, error=one.error
            )
            for one in evidence.tried
        ]
        by_method: dict[str, list[float]] = {}
        for one in evidence.tried:
            by_method.setdefault(one.arm.method, []).append(one.seconds)
        seconds = {method: float(np.median(found)) for method, found in by_method.items() if max(found) > 0}
        logs = np.log(np.array([one.score for one in evidence.tried]))
        return cls(target, level, images, evidence, pool.curves if pool else (), cases, logs, seconds, weights)

    @cached_property
    def scales(self) -> Axes:
        """What the cases let expect of the model's scales, for one who asks often."""
        return few_scales(self.cases, self.log_scores)

    def case(self, arm: Arm, rates: Rates | None) -> Case:
        """A trial of the study, as the model knows it."""
        return nearest_case(self.evidence, self.target, self.level, arm, rates, self.weights)

    def seconds(self, method: str) -> float:
        """What a trial of that method takes, by its like; one that nobody tried is taken for the dearest, if it trains."""
        dearest = max(self.seconds_by_method.values(), default=1.0)
        return self.seconds_by_method.get(method) or (dearest if trains(method) else _UNTRAINED * dearest)


def nearest_case(evidence: Evidence, target: str, level: str, arm: Arm, rates: Rates | None, weights: Weights) -> Case:
    """What the model knows of a trial; what is fine-tuned is as near as all parts of its source's likeness let expect.

    In units of the log distance, which is what nearness is where a target's sources were not all ranked, and for other methods:
    the score of a source as it is, is the distance itself.
    """
    case = case_of(evidence, target, level, arm, rates)
    found = evidence.likeness.get(target, {})
    if (
        arm.method != DEFAULT_METHOD
        or arm.source not in found
        or evidence.rankings.get(target, {}).keys() - found.keys()
    ):
        return case
    names = ("fid", "kid") if evidence.bench.metric == "fid" else ("fd", "kd")
    return case._replace(nearness=expected(found, names, weights)[arm.source] / SLOPE)


_NO_BENCH = Bench("", (), Network(0, 0, 0))


def prior_of(spec: StudySpec, paths: StudyPaths) -> Prior:
    """What a study began from, as it was written down then; nothing of one that began without. UserError if it is damaged."""
    fetch(paths.prior)
    try:
        found = pools(told(pq.read_table(paths.prior), None)) if paths.prior.is_file() else []
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{paths.prior} is not a readable Parquet file ({error}); remove it, and `resume` writes down anew what the studies "
            "of the home tell now"
        ) from None
    level = level_of(spec.target, spec.base.data)
    likeness, _ = ranked_of(paths)
    return Prior.of(_fitting(spec, found), spec.target, level, spec.base.budget.images, spec.ranking, likeness)


def write_prior(home: Home, paths: StudyPaths, spec: StudySpec) -> None:
    """Write down what a study begins from, unless that was done or it goes by nothing."""
    fetch(paths.prior)
    if (spec.sampler == "transfer" or spec.until_gain or spec.stopping == "curves") and not paths.prior.is_file():
        write_table(paths.prior, table_of(_telling(home, spec)))


def by_transfer(
    home: Home, spec: StudySpec, varied: Collection[str], told_to: Collection[str]
) -> tuple[StudySpec, str | None]:
    """The study as it goes by the model of transfer and by learning curves, where its user did not say how to search; and a line
    on the earlier trials that it knows.

    So it goes by scores that are ratios, if nothing is `varied` that the model does not know. `told_to` are the fields that its
    user gave. A study that has begun stays as it is.
    """
    paths = StudyPaths.of(home, spec.name)
    if is_begun(paths):
        before = open_study(home, spec.name)[1]
        own = {name: getattr(before, name) for name in ("sampler", "stopping") if name not in told_to}
        return spec.model_copy(update=own), None
    if spec.front or spec.metric not in PICKED_BY or spec.sampler not in ("tpe", "transfer"):
        return spec, None
    if {"sampler", "stopping"} <= set(told_to) or (spec.sampler == "tpe" and "sampler" in told_to):
        return spec, None
    if set(varied) - {*MODELLED}:
        return spec, None
    ways = {"sampler": "transfer"} | ({"stopping": "curves"} if spec.early_stopping else {})
    found = spec.model_copy(update={name: way for name, way in ways.items() if name not in told_to})
    return found, _known(home, _telling(home, spec))


def _known(home: Home, telling: Sequence[tuple[Told, Names]]) -> str | None:
    """A line on the earlier trials that a search goes by; None where there are none."""
    if not telling:
        return None
    trials = sum(len({row["trial"] for row in study.rows}) for study, _ in telling)
    recorded = {study.study for study, _ in telling} - set(home.names("studies"))
    of_those = f", {len(recorded)} of them in the table that ships with understock" if recorded else ""
    studies, were = plural(len(telling), "study", "studies"), "was" if trials == 1 else "were"
    return (
        f"{plural(trials, 'earlier trial')}, of {studies}{of_those}, {were} measured alike: the search goes by them "
        "(--sampler tpe --stop asha does not)"
    )


def _telling(home: Home, spec: StudySpec) -> list[tuple[Told, Names]]:
    """The studies, of the home and recorded, that have trials of the study's bench."""
    studies = _all_told(home, spec)
    pool = _fitting(spec, pools(studies))
    names = {curve.study for curve in pool.curves} if pool else set()
    return [(study, own) for study, own in studies if study.study in names]


def _all_told(home: Home, spec: StudySpec) -> list[tuple[Told, Names]]:
    found = []
    for name in home.names("studies"):
        if name != spec.name:
            try:
                found.append(told_of(home, name))
            except UserError:  # `status` and `pick` say so
                continue
    return [*found, *shipped(home)]


def _fitting(spec: StudySpec, found: Sequence[Pool]) -> Pool | None:
    """The pool of the study's bench: the one with most trials where a fact of it is known from trials alone, as the resizer."""
    leaves = flat_config(spec.base)
    network = Network.of_row(leaves, None)
    for pool in found:
        facts = pool.bench.facts
        said = {name: leaves[f"protocol/{name}"] for name in facts if f"protocol/{name}" in leaves}
        same = all(facts[name] == value for name, value in said.items())
        if pool.bench.metric == spec.metric and spec.metric in PICKED_BY and pool.bench.network == network and same:
            return pool
    return None
