"""What earlier studies of a home say, laid side by side: only trials measured alike, each by one score."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from search.picking.arms import Arm
from search.records.results import config_of, load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.protocol import METRICS, RECORD
from trainables.images.domains import read_facts
from trainables.sources.shelf import open_source
from trainables.storage.home import Home
from trainables.storage.json_files import read_json

PICKED_BY = tuple(name for name, metric in METRICS.items() if metric.is_ratio)
"""Metrics that a pick can go by: the first that a study has."""

Rates = tuple[float, float]

_NETWORK = ("network/resolution", "network/width", "network/z_dim", "network/family")
_MEASURED = tuple(name for name, fact in RECORD.items() if fact.must_agree and fact.of is None)
_DEAD = ("diverged", "failed")


class Network(NamedTuple):
    """The networks of a bench."""

    resolution: int
    width: int
    z_dim: int
    family: str = "resnet"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Network":
        """The networks of a row of the evaluations table; earlier versions had one family."""
        resolution, width, z_dim, family = (row[name] for name in _NETWORK)
        return cls(resolution, width, z_dim, family or "resnet")


class Bench(NamedTuple):
    """What must be equal for scores to compare across studies, whatever the arm."""

    metric: str
    measured: tuple[Any, ...]
    """The facts of a measurement that must agree, in the order of `spaces.protocol.RECORD`."""
    network: Network
    images: int
    """The budget of a trial."""

    def about(self) -> str:
        """In a line."""
        facts = dict(zip(_MEASURED, self.measured, strict=True))
        return (
            f"{self.metric} of {facts['n_fake']:,} samples against the {facts['split']} split in {facts['extractor']} features "
            f"at {facts['input_size']} pixels, after {self.images:,} images, networks of {self.network.resolution} pixels and "
            f"width {self.network.width}"
        )


@dataclass(frozen=True, eq=False)
class Tried:
    """A trial that has a score."""

    study: str
    trial: int
    target: str
    block: str
    """The study, and how many target images the trial had."""
    arm: Arm
    score: float
    """At the bench's budget."""
    carried: bool
    """It was stopped before that, and its score carried on by the progress of those that were not."""
    seconds: float
    config: TrialConfig

    @property
    def source(self) -> str | None:
        """None from scratch, or with nothing transferred."""
        return self.arm.source

    @property
    def rates(self) -> Rates | None:
        """Learning rates of generator and discriminator, where the method has them."""
        return self.config.rates


@dataclass
class Evidence:
    """The trials of one bench, and the rankings of the targets that they are of."""

    bench: Bench
    tried: list[Tried] = field(default_factory=list)
    dead: Counter[tuple[str, Arm]] = field(default_factory=Counter)
    """Trials that diverged or failed, by target and arm; they have no score."""
    rankings: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each target: sources and the distance of their samples to it, before training."""
    ranks: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each target: sources and their combined rank, where the study has it."""

    @property
    def targets(self) -> list[str]:
        """Sorted."""
        return sorted({one.target for one in self.tried})

    def of(self, target: str) -> list[Tried]:
        """The trials on a target."""
        return [one for one in self.tried if one.target == target]

    def without(self, target: str) -> "Evidence":
        """All that the other targets say, and this one's ranking, which needs no trial."""
        dead = Counter({key: n for key, n in self.dead.items() if key[0] != target})
        tried = [one for one in self.tried if one.target != target]
        return Evidence(self.bench, tried, dead, self.rankings, self.ranks)

    def left_out(self) -> str:
        """In a line, for those who go by another bench."""
        return f"left out, as measured otherwise: {len(self.tried)} trials by {self.bench.about()}"

    @property
    def seconds(self) -> float | None:
        """Mean wall time of a trial that spent its whole budget."""
        whole = [one.seconds for one in self.tried if not one.carried]
        return float(np.mean(whole)) if whole else None


def gather(home: Home, studies: Sequence[str] | None = None) -> tuple[list[Evidence], list[str]]:
    """The evidence of these studies, all of the home by default, by bench: most trials first; and a word on the unreadable."""
    found: dict[Bench, Evidence] = {}
    notes = []
    for name in home.names("studies") if studies is None else studies:
        try:
            paths, spec = open_study(home, name)
            rows = load(paths.evaluations).to_pylist()
        except UserError as error:
            if studies is not None:
                raise
            notes.append(f"left out: {error}")
            continue
        names = _present_names(home, spec)
        for bench, tried, dead in _benches(spec, rows, names):
            evidence = found.setdefault(bench, Evidence(bench))
            evidence.tried += tried
            evidence.dead += dead
            target = names[spec.target]
            for kept, values in ((evidence.rankings, spec.ranking), (evidence.ranks, _ranks(paths))):
                kept.setdefault(target, {}).update({names[source]: value for source, value in values.items()})
    return sorted(found.values(), key=lambda e: (-len(e.tried), str(e.bench))), notes


def _ranks(paths: StudyPaths) -> dict[str, float]:
    """The combined ranks that a study began with; none of a study from before there were any."""
    try:
        rows = read_json(paths.ranking)["rows"]
        return {row["source"]: float(row["rank"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _present_names(home: Home, spec: StudySpec) -> dict[str, str]:
    """The study's target and sources by the names under which they are what the home has now.

    One that was replaced since is another: it keeps its name with its digest, and no trial of it counts for the new one.
    """
    names = {}
    for kind, name in (("domain", spec.target), *(("source", source) for source in spec.sources)):
        then = spec.digests.get(f"{kind}:{name}")
        names[name] = name if then in (None, _present_digest(home, kind, name)) else f"{name}@{then[:8]}"
    return names


def _present_digest(home: Home, kind: str, name: str) -> str | None:
    try:
        return (read_facts(home.domain(name)) if kind == "domain" else open_source(home, name).facts).digest
    except UserError:
        return None


def _benches(
    spec: StudySpec, rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> list[tuple[Bench, list[Tried], Counter[Any]]]:
    """A study's trials by bench; more than one where its space varies the network."""
    metric = next((name for name in PICKED_BY if name in spec.base.protocol.metrics), None)
    if metric is None:
        return []
    by_trial: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_trial[row["trial"]].append(row)
    groups: dict[_Key, list[list[Mapping[str, Any]]]] = defaultdict(list)
    unmeasured = []  # trials without a score, that diverged or failed
    for mine in by_trial.values():
        scored = [row for row in mine if _is_score(row[metric])]
        if scored:
            groups[_Key.of(scored[-1])].append(scored)
        else:
            unmeasured.append(mine)
    for trials in groups.values():
        trials += unmeasured
        unmeasured = []
    return [
        _bench(spec, Bench(metric, key.measured, key.network, spec.base.budget.images), trials, names)
        for key, trials in groups.items()
    ]


class _Key(NamedTuple):
    """What a trial's last row says of its bench."""

    measured: tuple[Any, ...]
    network: Network

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "_Key":
        return cls(tuple(row[name] for name in _MEASURED), Network.of(row))


def _is_score(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _bench(
    spec: StudySpec, bench: Bench, trials: Sequence[Sequence[Mapping[str, Any]]], names: Mapping[str, str]
) -> tuple[Bench, list[Tried], Counter[Any]]:
    """The trials of a study on one bench: those with a score, carried on to the whole budget, and those without one."""
    alive = [rows for rows in trials if rows[-1]["status"] not in _DEAD and rows[-1][bench.metric]]
    lost = [_arm(config_of(rows[-1]), names) for rows in trials if rows[-1]["status"] in _DEAD]
    dead = Counter((names[spec.target], arm) for arm in lost)
    curves = [{row["images_seen"]: math.log(row[bench.metric]) for row in rows} for rows in alive]
    whole = [_is_whole(rows, bench.images) for rows in alive]
    through = [curve for curve, is_whole in zip(curves, whole, strict=True) if is_whole]
    tried = []
    for rows, curve, is_whole in zip(alive, curves, whole, strict=True):
        ahead = 0.0 if is_whole else _progress(max(curve), through)
        if ahead is not None:
            score = math.exp(curve[max(curve)] + ahead)
            tried.append(_tried(spec, rows[-1], names, score=score, carried=not is_whole))
    return bench, tried, dead


def _is_whole(rows: Sequence[Mapping[str, Any]], budget: int) -> bool:
    """Whether a trial spent its budget; one of a method that trains nothing has nothing to spend."""
    last = rows[-1]
    return last["images_seen"] >= budget or (last["status"] == "completed" and not last["iterations"])


def _tried(spec: StudySpec, last: Mapping[str, Any], names: Mapping[str, str], *, score: float, carried: bool) -> Tried:
    config = config_of(last)
    size = config.data.target_images
    return Tried(
        study=spec.name,
        trial=last["trial"],
        target=names[spec.target],
        block=spec.name if size is None else f"{spec.name} with {size:,} images",
        arm=_arm(config, names),
        score=score,
        carried=carried,
        seconds=last["wall_seconds"],
        config=config,
    )


def _arm(config: TrialConfig, names: Mapping[str, str]) -> Arm:
    """The arm of a config, its source by the name under which it is what the home has now."""
    arm = Arm.of(config)
    return arm if arm.source is None else arm._replace(source=names[arm.source])


def _progress(images: int, whole: Sequence[Mapping[int, float]]) -> float | None:
    """Mean change of the log score from `images` seen to the end, over trials that went there; None if there are none.

    Leaving stopped trials out would flatter whatever was stopped most: only its best trials would count.
    """
    changes = [curve[max(curve)] - curve[images] for curve in whole if images in curve]
    return float(np.mean(changes)) if changes else None
