"""What earlier studies of a home say, laid side by side: only trials measured alike, each by one score at one budget."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from search.picking.arms import Arm, Rates, as_it_is, trial_values
from search.picking.bench import Bench, Network
from search.picking.curves import Curve, carried, distinct
from search.picking.told import Told, told_of
from search.records.results import config_of, is_evaluation
from spaces.config import Data, TrialConfig
from spaces.counts import plural
from spaces.errors import UserError
from spaces.protocol import METRICS
from spaces.trials import CONFIGS, DEFAULT_METHOD, parse_trial
from trainables.sources.likeness import Part
from trainables.storage.home import Home

PICKED_BY = tuple(name for name, metric in METRICS.items() if metric.is_ratio)
"""Metrics that a pick can go by: the first that a study has."""

_DEAD = ("diverged", "failed")
_FLAT = 0.01
"""A mean change of the log score by less than this is no progress."""
_OWN = 4
"""How many trials of other targets one of the target itself is worth, when a bench is chosen: those tell of it only as
far as targets agree."""


@dataclass(frozen=True, eq=False)
class Tried:
    """A trial that has a score, or a source as it is that was measured before one."""

    study: str
    trial: int
    target: str
    level: str
    """The target, and how many of its images the trial had."""
    arm: Arm
    score: float
    """At the evidence's budget."""
    seconds: float
    """That such a trial takes of a search: less than its whole budget's, if it was stopped early."""
    config: TrialConfig
    error: float = 0.0
    """Standard deviation of the log score, where it was not measured at that budget but carried on to it."""
    is_trial: bool = True
    """False of a source as it is that no trial sampled: it was measured before another trial's first image."""

    @property
    def source(self) -> str | None:
        """None from scratch, or with nothing transferred."""
        return self.arm.source

    @property
    def rates(self) -> Rates | None:
        """Learning rates of generator and discriminator, where the method has them."""
        return self.config.rates


class Dead(NamedTuple):
    """A trial that came to no score."""

    target: str
    arm: Arm
    rates: Rates | None
    diverged: bool
    """Its training did; else it failed, which says nothing of its arm."""


@dataclass
class Evidence:
    """What was tried on one bench, by its scores at one budget, and the rankings of the targets that it is of."""

    bench: Bench
    images: int
    """The budget."""
    tried: list[Tried] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    """Trials that diverged or failed; they have no score."""
    untranslated: list[Tried] = field(default_factory=list)
    """Images of source domains as they are, which no way makes: what ways are held against, and no evidence of any."""
    rankings: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each target: sources and the distance of their samples to it, before training."""
    likeness: dict[str, dict[str, Mapping[str, Part]]] = field(default_factory=dict)
    """Of each target: sources and the parts of their likeness to it, where a study began with a ranking."""

    @property
    def targets(self) -> list[str]:
        """Sorted."""
        return sorted({one.target for one in self.tried})

    def of(self, target: str) -> list[Tried]:
        """What was tried on a target."""
        return [one for one in self.tried if one.target == target]

    @property
    def trials(self) -> list[Tried]:
        """Without the sources as they are that were measured beside them."""
        return [one for one in self.tried if one.is_trial]

    def without(self, target: str) -> "Evidence":
        """All that the other targets say, and this one's ranking, which needs no trial."""
        dead = [one for one in self.dead if one.target != target]
        tried, untranslated = (
            [one for one in found if one.target != target] for found in (self.tried, self.untranslated)
        )
        return replace(self, tried=tried, dead=dead, untranslated=untranslated)

    def about(self) -> str:
        """How scores were measured, in a line."""
        return self.bench.about(self.images)

    @property
    def seconds(self) -> float | None:
        """Mean wall time of a trial, those included that were stopped early."""
        return float(np.mean([one.seconds for one in self.trials])) if self.trials else None


@dataclass
class Pool:
    """All trials of one bench, whatever their budgets, and the rankings of their targets."""

    bench: Bench
    curves: list[Curve] = field(default_factory=list)
    seeds: dict[str, int] = field(default_factory=dict)
    """Of each target, the highest seed that any trial had."""
    dead: list[Dead] = field(default_factory=list)
    rankings: dict[str, dict[str, float]] = field(default_factory=dict)
    likeness: dict[str, dict[str, Mapping[str, Part]]] = field(default_factory=dict)

    def information(self, target: str) -> int:
        """How much there is on a target, in trials: its own count four times as much as others'."""
        return sum(_OWN if curve.target == target else 1 for curve in self.trials)

    @property
    def trials(self) -> list[Curve]:
        """The curves of trials alone."""
        return [curve for curve in self.curves if curve.is_trial]

    def budget(self, target: str | None = None) -> int:
        """The budget that the evidence favours: the most images at which it still compares, if more have helped.

        Of the budgets that trials were given, those count at which two arms of one target were measured, of `target` where
        it has such. From the least of them on, a larger one is taken where its scores are better by 1 % at least, in the
        mean of the trials measured at both, or where no trial was. Where nothing compares: that with the most trials.
        """
        trained = [curve for curve in self.curves if not curve.untrained] or self.curves
        given = sorted({curve.config.budget.images for curve in trained})
        own = [images for images in given if self._compares(images, target)]
        fitting = own or [images for images in given if self._compares(images)]
        if not fitting:
            return max(given, key=lambda images: (sum(curve.covers(images) for curve in trained), images))
        best = fitting[0]
        for more in fitting[1:]:
            both = [curve.at(more) - curve.at(best) for curve in trained if curve.covers(best, more)]
            if not both or np.mean(both) < -_FLAT:
                best = more
        return best

    def _compares(self, images: int, target: str | None = None) -> bool:
        """Whether two arms of one target, or of this one, were measured at a budget."""
        there = {(c.target, c.arm) for c in self.curves if c.covers(images) and target in (None, c.target)}
        return max(Counter(name for name, _ in there).values(), default=0) > 1

    def at(self, images: int) -> Evidence:
        """The scores at a budget, one of each training; trials that nothing carries there have none."""
        evidence = Evidence(self.bench, images, dead=self.dead, rankings=self.rankings, likeness=self.likeness)
        for curve in distinct(self.curves, images):
            if found := carried(curve, images, self.curves):
                score, error = math.exp(found[0]), found[1]
                where = curve.study, curve.trial, curve.target, curve.level, curve.arm
                one = Tried(*where, score, curve.spent(images), curve.config, error, curve.is_trial)
                (evidence.tried if one.arm.makes_images else evidence.untranslated).append(one)
        return evidence

    def without(self, target: str) -> "Pool":
        """All that the other targets say, and this one's ranking, which needs no trial."""
        curves = [curve for curve in self.curves if curve.target != target]
        dead = [one for one in self.dead if one.target != target]
        return replace(self, curves=curves, dead=dead)

    def add(self, other: "Pool") -> None:
        """Take in what another one has."""
        self.curves += other.curves
        self.dead += other.dead
        for target, seed in other.seeds.items():
            self.seeds[target] = max(self.seeds.get(target, 0), seed)
        for target, distances in other.rankings.items():
            self.rankings.setdefault(target, {}).update(distances)
        for target, parts in other.likeness.items():
            self.likeness.setdefault(target, {}).update(parts)

    def left_out(self) -> str:
        """In a line, for those who go by another bench."""
        return f"left out, as measured otherwise: {plural(len(self.trials), 'trial')} by {self.bench.about()}"


def gather(
    home: Home, studies: Sequence[str] | None = None, beside: Iterable[tuple[Told, Mapping[str, str]]] = ()
) -> tuple[list[Pool], list[str]]:
    """The trials of these studies, all of the home by default, by bench: most trials first; and a word on the unreadable.

    `beside` are studies that tell something without being the home's.
    """
    told = list(beside)
    notes = []
    for name in home.names("studies") if studies is None else studies:
        try:
            told.append(told_of(home, name))
        except UserError as error:
            if studies is not None:
                raise
            notes.append(f"left out: {error}")
    return pools(told), notes


def pools(told: Iterable[tuple[Told, Mapping[str, str]]]) -> list[Pool]:
    """The trials of studies by bench, those with most first; with each study go the names that its target and sources have.

    Trials without a GAN stand beside those of every GAN that they compare with, and by themselves where there is none.
    """
    found: dict[Bench, Pool] = {}
    homeless = []
    for study, names in told:
        target = names[study.target]
        benches, unmeasured = _benches(study, names)
        homeless += [
            (target, study, trial[-1], _dead(trial[-1], names)) for trial in unmeasured if trial[-1]["status"] in _DEAD
        ]
        seeds = {target: max((row["seed"] for row in study.rows), default=0)}
        ranking = {target: {names[each]: value for each, value in study.ranking.items()}}
        likeness = {target: {names.get(source, source): parts for source, parts in study.likeness.items()}}
        for bench, curves, dead in benches:
            found.setdefault(bench, Pool(bench)).add(Pool(bench, curves, seeds, dead, ranking, likeness))
    for target, study, row, dead_one in homeless:
        for pool in found.values():
            if pool.bench.network == Network.of_row(row, study.resolution):
                pool.add(Pool(pool.bench, seeds={target: row["seed"]}, dead=[dead_one]))
    return sorted(_joined(found.values()), key=lambda pool: (-len(pool.trials), str(pool.bench)))


def _joined(found: Iterable[Pool]) -> Iterator[Pool]:
    """The pools of GANs, each with the trials without that compare with it, and those trials alone where none does."""
    with_gans = [pool for pool in found if pool.bench.has_gans]
    yield from with_gans
    for pool in found:
        if not pool.bench.has_gans:
            beside = [other for other in with_gans if other.bench.compares(pool.bench)]
            for other in beside:
                other.add(pool)
            if not beside:
                yield pool


_Rows = list[Mapping[str, Any]]


def _benches(study: Told, names: Mapping[str, str]) -> tuple[list[tuple[Bench, list[Curve], list[Dead]]], list[_Rows]]:
    """A study's trials by bench; more than one where its space varies the network. And those that are on none.

    A trial that was never measured counts on the bench with its network that most trials of the study are on.
    """
    metric = next((name for name in PICKED_BY if name in study.metrics), None)
    if metric is None:
        return [], []
    by_trial: dict[int, _Rows] = defaultdict(list)
    for row in study.rows:
        if Network.of_row(row, study.resolution) is None:
            continue
        if CONFIGS[row["method"] or DEFAULT_METHOD].learnt(row["extractor"]):
            continue  # scores of what learnt what it is judged by compare with none
        by_trial[row["trial"]].append(row)
    groups: dict[Bench, list[_Rows]] = defaultdict(list)
    for mine in by_trial.values():
        benches: dict[Bench, _Rows] = defaultdict(list)
        for row in mine:
            network = Network.of_row(row, study.resolution)
            if _is_score(row[metric]) and network:
                benches[Bench.of_row(metric, row, network)].append(row)
        for bench, scored in benches.items():
            groups[bench].append(scored)
    homeless = []
    for mine in by_trial.values():
        if any(_is_score(row[metric]) for row in mine):
            continue
        same = [bench for bench in groups if bench.network == Network.of_row(mine[-1], study.resolution)]
        if same:
            groups[max(same, key=lambda bench: len(groups[bench]))].append(mine)
        else:
            homeless.append(mine)
    return [(bench, *_of_bench(study, metric, trials, names)) for bench, trials in groups.items()], homeless


def _is_score(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _of_bench(
    study: Told, metric: str, trials: Sequence[_Rows], names: Mapping[str, str]
) -> tuple[list[Curve], list[Dead]]:
    """The trials of a study on one bench: the curves of those with a score, and those that came to none."""
    curves = []
    dead = [_dead(rows[-1], names) for rows in trials if rows[-1]["status"] in _DEAD]
    for rows in trials:
        if rows[-1]["status"] not in _DEAD:
            curves += _curves(study, metric, rows, names)
    by_most_samples = sorted(curves, key=lambda curve: curve.at_rung, reverse=True)  # last, so that these stay
    beside = {(curve.level, curve.arm): curve for curve in by_most_samples if not curve.is_trial}
    own = [curve for curve in curves if curve.is_trial]
    sampled = {(curve.level, curve.arm) for curve in own}
    return [*own, *(curve for key, curve in beside.items() if key not in sampled)], dead


def _dead(row: Mapping[str, Any], names: Mapping[str, str]) -> Dead:
    config = config_of(row)
    return Dead(names[config.target], _arm(config, names), config.rates, row["status"] == "diverged")


def _curves(study: Told, metric: str, rows: _Rows, names: Mapping[str, str]) -> list[Curve]:
    """A trial's curve; and what it says of the source as it is, where it was measured before its generator was trained."""
    config, last = config_of(rows[-1]), rows[-1]
    budget = config.budget.images  # which the last iteration may pass by some images
    scored = [row for row in rows if is_evaluation(row) and _is_score(row[metric])]
    scores = {min(row["images_seen"], budget): math.log(row[metric]) for row in scored}
    arm, target = _arm(config, names), names[study.target]
    through = last["status"] == "completed" and not last["iterations"] and not last["images_seen"]
    data = config.data
    if data.target_images == study.whole:
        data = data.model_copy(update={"target_images": None})  # all that there are
    found = []

    def add(arm: Arm, scores: dict[int, float], seconds: float, config: TrialConfig, *beside: bool) -> None:
        where = study.study, last["trial"], target, level_of(target, data)
        found.append(Curve(*where, arm, scores, last["status"] == "stopped", seconds, config, *beside))

    if 0 in scores and not through and arm.parts in ("generator", "both") and _grafts_all(config) and arm.source:
        values = trial_values(config.model_dump(), config.target, as_it_is(config.source), None)
        first = next(row for row in rows if not row["images_seen"])
        ranked = study.ranking.get(config.source)  # by all of the protocol's images, where a rung draws few
        score, at_rung = (math.log(ranked), False) if ranked else (scores[0], drawn_few(first))
        add(as_it_is(arm.source), {0: score}, _seconds(first), parse_trial(values, "a trial's source"), False, at_rung)
    curve = scores if through else {images: score for images, score in scores.items() if images}
    if curve:
        add(arm, curve, _seconds(last), config)
    return found


def drawn_few(row: Mapping[str, Any]) -> bool:
    """Whether a row's score is of fewer images than its protocol's, as at a rung."""
    return row["n_drawn"] is not None and row["n_drawn"] < row["n_fake"]


def _seconds(row: Mapping[str, Any]) -> float:
    """Of training and evaluation; of training alone where an earlier version left no other."""
    return row["wall_seconds"] or row["train_seconds"] or 0.0


def _grafts_all(config: TrialConfig) -> bool:
    """Whether a trial starts with all tensors of its source's networks: none was given new weights."""
    return bool(config.model_dump().get("transfer", {}).get("on_mismatch") == "error")


def level_of(target: str, data: Data) -> str:
    """The level of trials on so many of a target's images."""
    if data.shots:
        return f"{target} with {data.shots:,} of each class"
    return target if data.target_images is None else f"{target} with {data.target_images:,} images"


def _arm(config: TrialConfig, names: Mapping[str, str]) -> Arm:
    """The arm of a config, its source by the name under which it is what the home has now."""
    arm = Arm.of(config)
    return arm if arm.source is None else arm._replace(source=names[arm.source])
