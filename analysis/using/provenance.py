"""Where a trial's model comes from: the sources with their licences, the target, how good it was measured to be."""

import datetime
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis import tables
from search.records.results import config_of, load
from search.records.study import StudyPaths, StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from spaces.protocol import METRICS, RECORD
from spaces.records import Config
from spaces.trials import translates
from trainables.storage.home import Home

UNKNOWN = "unknown"
"""The licence of a source that none was recorded of."""


class SourceFacts(Config):
    """What is known of a source that the model was made from."""

    name: str
    kind: str
    """ "source model", or "source domain" where its images were taken."""
    licence: str = UNKNOWN
    origin: str = UNKNOWN
    domain: str = UNKNOWN
    """The images that it learnt."""
    images: int | None = None
    digest: str | None = None
    """SHA-256 of its weights, or of its images, as the study found it."""
    note: str | None = None
    """What is wrong with these facts, where they may not be those of then."""


class Score(Config):
    """What was measured of the model: lower or higher is better as `goal` says, real images in its place score `floor`."""

    metric: str
    label: str
    goal: str
    value: float
    se: float | None = None
    floor: float | None = None


class Provenance(Config):
    """What an export says of itself, as `about.json`."""

    made_by: str
    created: str
    study: str
    trial: int
    method: str
    parts: str
    """The networks of the source that were transferred."""
    target: str
    target_images: int
    target_origin: str = UNKNOWN
    """Where the target's images came from."""
    sources: tuple[SourceFacts, ...]
    """None of a model from scratch."""
    images_seen: int
    seconds: float | None
    seeds: dict[str, int]
    scores: tuple[Score, ...]
    chosen_by: str
    """The metric that the study went by: of the best of several trials it flatters."""
    measured: dict[str, str | int | float]
    """What the scores compare by: equal facts, comparable scores."""
    versions: dict[str, str]

    @property
    def from_noise(self) -> bool:
        """Whether its images are made of z, not of other images."""
        return not translates(self.method)

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences of the sources, each once."""
        return tuple(dict.fromkeys(source.licence for source in self.sources))


def provenance(home: Home, paths: StudyPaths, spec: StudySpec, trial: int) -> Provenance:
    """The provenance of a trial's model, which is that of its last evaluation with a score, or without one where none has."""
    rows = tables.as_configured(tables.evaluations(load(paths.evaluations)))
    own = rows[rows["trial"] == trial]
    if own.empty:
        raise UserError(
            f"trial {trial} of study {spec.name!r} has no evaluation yet; see `understock status {spec.name}`"
        )
    scored = own[own[spec.metric].notna()]
    row = (own if scored.empty else scored).iloc[-1]
    config = config_of(row)
    return Provenance(
        made_by=f"understock {spec.versions.get('understock', UNKNOWN)}",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        study=spec.name,
        trial=trial,
        method=config.method,
        parts=config.parts,
        target=config.target,
        target_images=config.data.target_images or spec.train_images,
        target_origin=_target_origin(home, config.target),
        sources=tuple(_sources(home, spec, config)),
        images_seen=int(row["images_seen"]),
        seconds=_number(row["seconds"]),
        seeds={"trial": config.seed, "target images": config.data.seed, "metrics": config.protocol.seed},
        scores=tuple(_scores(row, spec)),
        chosen_by=spec.metric,
        measured={fact: _plain(row[fact]) for fact in RECORD if fact in row and not pd.isna(row[fact])},
        versions=spec.versions,
    )


def _sources(home: Home, spec: StudySpec, config: TrialConfig) -> Iterator[SourceFacts]:
    if config.source == SCRATCH:
        return
    if config.domains:
        for name in config.domains:
            yield _domain_facts(home, spec, name)
    else:
        for name in (config.source, *config.sources_beside):
            yield _model_facts(home, spec, name)


def _model_facts(home: Home, spec: StudySpec, name: str) -> SourceFacts:
    """Its facts on the shelf; where that has no such model any more, or another one, a note says so."""
    from trainables.sources.shelf import open_source

    kind, digest = "source model", spec.digests.get(f"source:{name}")
    try:
        facts = open_source(home, name).facts
    except UserError:
        return SourceFacts(name=name, kind=kind, digest=digest, note="it is not on the shelf any more")
    return SourceFacts(
        name=name,
        kind=kind,
        licence=facts.licence or UNKNOWN,
        origin=facts.origin,
        domain=facts.domain,
        images=facts.images,
        digest=digest or facts.digest,
        note=_changed(digest, facts.digest),
    )


def _domain_facts(home: Home, spec: StudySpec, name: str) -> SourceFacts:
    from trainables.images.domains import read_facts

    kind, digest = "source domain", spec.digests.get(f"domain:{name}")
    try:
        facts = read_facts(home.domain(name))
    except UserError:
        return SourceFacts(name=name, kind=kind, digest=digest, note="it is not in the home any more")
    return SourceFacts(
        name=name,
        kind=kind,
        origin=facts.origin,
        domain=name,
        images=facts.train,
        digest=digest or facts.digest,
        note=_changed(digest, facts.digest),
    )


def _changed(then: str | None, now: str) -> str | None:
    return None if then in (None, now) else "the one of that name is another one now, and these facts are its"


def _target_origin(home: Home, name: str) -> str:
    from trainables.images.domains import read_facts

    try:
        return read_facts(home.domain(name)).origin
    except UserError:
        return UNKNOWN


def _scores(row: "pd.Series[Any]", spec: StudySpec) -> Iterator[Score]:
    for name in spec.base.protocol.metrics:
        if (value := _number(row.get(name))) is None:
            continue
        metric = METRICS[name].labelled(spec.base.protocol.extractor)
        floor, se = (_number(row.get(f"{name}_{of}")) for of in (metric.beside or "floor", "se"))
        yield Score(metric=name, label=metric.label, goal=metric.goal, value=value, se=se, floor=floor)


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _plain(value: Any) -> str | int | float:
    """A cell as Python has it; pandas makes floats of whole numbers beside which others are missing."""
    plain = value.item() if hasattr(value, "item") else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
