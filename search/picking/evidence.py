"""What earlier studies of a home say, laid side by side: only trials measured alike, each by one score."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from search.records.results import config_of, load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from trainables.images.domains import read_facts
from trainables.sources.shelf import open_source
from trainables.storage.home import Home

PICKED_BY = ("fid", "fd")
"""Metrics that a pick can go by: positive, so that scores compare as ratios. The first that a study has."""

_SIZES = ("network/resolution", "network/width", "network/z_dim")
_MEASURED = ("extractor", "input_size", "resizer", "split", "n_fake", "metric_seed")
_DEAD = ("diverged", "failed")


class Bench(NamedTuple):
    """What must be equal for scores to compare across studies; real images differ by nature from target to target."""

    metric: str
    measured: tuple[Any, ...]
    """Values of the columns extractor, input_size, resizer, split, n_fake, metric_seed."""
    network: tuple[int, ...]
    """resolution, width, z_dim"""
    method: str
    images: int
    """The budget of a trial."""

    def about(self) -> str:
        """In a line."""
        extractor, size, _, split, n_fake, _ = self.measured
        return (
            f"{self.metric} of {n_fake:,} samples against the {split} split in {extractor} features at {size} pixels, after "
            f"{self.images:,} images, networks of {self.network[0]} pixels and width {self.network[1]}"
        )


@dataclass(frozen=True, eq=False)
class Tried:
    """A trial that has a score."""

    study: str
    trial: int
    target: str
    block: str
    """The study, and how many target images the trial had."""
    source: str | None
    """None from scratch, or with nothing transferred."""
    parts: str
    score: float
    """At the bench's budget."""
    carried: bool
    """It was stopped before that, and its score carried on by the progress of those that were not."""
    seconds: float
    config: TrialConfig

    @property
    def arm(self) -> tuple[str | None, str]:
        """Source and parts."""
        return self.source, self.parts

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of generator and discriminator."""
        return self.config.optim.lr_g, self.config.optim.lr_d


@dataclass
class Evidence:
    """The trials of one bench, and the rankings of the targets that they are of."""

    bench: Bench
    tried: list[Tried] = field(default_factory=list)
    dead: Counter[tuple[str, str | None, str]] = field(default_factory=Counter)
    """Trials that diverged or failed, by target, source and parts; they have no score."""
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
        rows = json.loads(paths.ranking.read_text())["rows"]
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
    groups: dict[tuple[Any, ...], list[list[Mapping[str, Any]]]] = defaultdict(list)
    for mine in by_trial.values():
        scored = [row for row in mine if row[metric] is not None and math.isfinite(row[metric]) and row[metric] > 0]
        last = (scored or mine)[-1]
        groups[tuple(last[name] for name in (*_MEASURED, *_SIZES, "method"))].append(scored or mine)
    measured = [key for key in groups if key[0] is not None]
    if not measured:
        return []
    for key in [key for key in groups if key[0] is None]:  # trials without a score, that diverged or failed
        groups[measured[0]] += groups.pop(key)
    return [_bench(spec, metric, key, groups[key], names) for key in measured]


def _bench(
    spec: StudySpec,
    metric: str,
    key: tuple[Any, ...],
    trials: Sequence[Sequence[Mapping[str, Any]]],
    names: Mapping[str, str],
) -> tuple[Bench, list[Tried], Counter[Any]]:
    n = len(_MEASURED)
    bench = Bench(metric, key[:n], key[n : n + len(_SIZES)], key[-1], spec.base.budget.images)
    alive = [rows for rows in trials if rows[-1]["status"] not in _DEAD and rows[-1][metric]]
    dead = Counter((names[spec.target], *_arm(rows[-1], names)) for rows in trials if rows[-1]["status"] in _DEAD)
    curves = [{row["images_seen"]: math.log(row[metric]) for row in rows} for rows in alive]
    whole = [max(curve) >= bench.images for curve in curves]
    tried = []
    for rows, curve, is_whole in zip(alive, curves, whole, strict=True):
        ahead = 0.0 if is_whole else _progress(max(curve), [c for c, w in zip(curves, whole, strict=True) if w])
        if ahead is None:
            continue
        last = rows[-1]
        source, parts = _arm(last, names)
        size = last["data/target_images"]
        tried.append(
            Tried(
                study=spec.name,
                trial=last["trial"],
                target=names[spec.target],
                block=spec.name if size is None else f"{spec.name} with {size:,} images",
                source=source,
                parts=parts,
                score=math.exp(curve[max(curve)] + ahead),
                carried=not is_whole,
                seconds=last["wall_seconds"],
                config=config_of(last, spec.base),
            )
        )
    return bench, tried, dead


def _arm(row: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str | None, str]:
    scratch = row["source"] == SCRATCH or row["transfer/parts"] == "none"
    return (None, "none") if scratch else (names[row["source"]], row["transfer/parts"])


def _progress(images: int, whole: Sequence[Mapping[int, float]]) -> float | None:
    """Mean change of the log score from `images` seen to the end, over trials that went there; None if there are none.

    Leaving stopped trials out would flatter whatever was stopped most: only its best trials would count.
    """
    changes = [curve[max(curve)] - curve[images] for curve in whole if images in curve]
    return float(np.mean(changes)) if changes else None
