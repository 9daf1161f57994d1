"""What a study tells, as evidence takes it: its rows and its ranking, with the names that its target and sources have now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.errors import UserError
from trainables.images.domains import read_facts
from trainables.sources.likeness import Part
from trainables.sources.shelf import open_source
from trainables.storage.home import Home
from trainables.storage.json_files import read_json


@dataclass(frozen=True)
class Told:
    """What one study tells, of a home or of a table that was written of one."""

    study: str
    target: str
    metrics: Sequence[str]
    whole: int | None
    """How many images a trial has that has all of the target's; None where every trial says how many it has."""
    rows: Sequence[Mapping[str, Any]]
    """Of the evaluations table."""
    ranking: Mapping[str, float]
    """Sources and the distance of their samples to the target, before training."""
    likeness: Mapping[str, Mapping[str, Part]]
    """Sources and every part of their likeness to the target, before training; empty where the study has none."""
    ranks: Mapping[str, float]
    """Sources and their combined rank; empty where the study has none."""
    resolution: int | None = None
    """Of the target, in pixels: what trials without GANs compare by with those of GANs; None where nobody knows it any more."""


def told_of(home: Home, name: str) -> tuple[Told, Mapping[str, str]]:
    """What a study of the home tells, and the names that its target and sources have here now."""
    paths, spec = open_study(home, name)
    whole = spec.train_images if spec.base.data.target_images is None else None
    rows = load(paths.evaluations).to_pylist()
    metrics = spec.base.protocol.metrics
    told = Told(spec.name, spec.target, metrics, whole, rows, spec.ranking, *ranked_of(paths), _resolution(home, spec))
    return told, present_names(home, spec.target, spec.sources, spec.domains, spec.digests)


def _resolution(home: Home, spec: StudySpec) -> int | None:
    try:
        facts = read_facts(home.domain(spec.target))
    except UserError:
        return None
    return facts.resolution if spec.digests.get(f"domain:{spec.target}") in (None, facts.digest) else None


Ranked = tuple[dict[str, Mapping[str, Part]], dict[str, float]]
"""The parts of likeness, and the ranks, by source."""


def ranked_of(paths: StudyPaths) -> Ranked:
    """What a study began with; nothing of a study from before there was any."""
    try:
        return ranked(read_json(paths.ranking)["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}


def ranked(rows: Sequence[Mapping[str, Any]]) -> Ranked:
    """The same of the rows of a ranking, as it is kept."""
    parts: dict[str, Mapping[str, Part]] = {
        row["source"]: {name: Part(value=part["value"]) for name, part in row["parts"].items()} for row in rows
    }
    return parts, {row["source"]: float(row["rank"]) for row in rows if row.get("rank") is not None}


def present_names(
    home: Home, target: str, sources: Iterable[str], domains: Iterable[str], digests: Mapping[str, str]
) -> dict[str, str]:
    """A study's target, sources and source domains by the names under which they are what the home has now.

    One that was replaced since is another: it keeps its name with its digest, and no trial of it counts for the new one. A
    name that is both a source model's and a domain's is looked up as the model's, which was made of the domain.
    """
    names = {}
    of_domains, of_models = (("domain", name) for name in domains), (("source", name) for name in sources)
    for kind, name in (("domain", target), *of_domains, *of_models):
        then = digests.get(f"{kind}:{name}")
        names[name] = name if then in (None, _present_digest(home, kind, name)) else f"{name}@{then[:8]}"
    return names


def _present_digest(home: Home, kind: str, name: str) -> str | None:
    try:
        return (read_facts(home.domain(name)) if kind == "domain" else open_source(home, name).facts).digest
    except UserError:
        return None
