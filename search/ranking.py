"""The ranking of source models by what fine-tuning from them will likely come to, before any training.

The order is that of a prediction from all parts of a source's likeness to the target by learnt weights, and from what the
source did on other targets of the home; see `search.prediction`. Among the parts are fd, the paper's selector (Wang et al.,
ECCV 2018, section 4.5); recall, which Grigoryev et al. (ICLR 2022) found to predict what fine-tuning comes to; and the source
model's own quality; a part whose learnt weight went against its sense has weight 0. Not among them are the domains' distance
(no source from elsewhere would have one), the critic's score (it has no good direction), and density, which goes with
precision. A prediction says how sure it is: most sources are not separated.

The order of two sources is theirs alone, whoever else is ranked. How sure it is is not: a prediction is beside the best of the
others, and a part's place is among them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.picking.elsewhere import of_home
from search.prediction import Prediction, Seen, expected, on_other_targets, predict, shipped, weighed
from spaces.errors import UserError
from spaces.networks import conditions
from spaces.protocol import Protocol
from spaces.records import Config
from trainables.images.domains import Domain, open_domain
from trainables.images.importing.decoding import RESIZER
from trainables.machine.progress import progress
from trainables.metrics.manifolds import NEIGHBOURS
from trainables.metrics.reference import check_compared
from trainables.sources.likeness import Part, distance_names, likeness
from trainables.sources.shelf import NO_LICENCE, SourceFacts, SourceModel, open_source, shelf
from trainables.storage.home import Home, writing

ELSEWHERE = "elsewhere"
"""The part that is what a source did on other targets; beside it stands on how many."""

_GOOD: Mapping[str, int] = {
    **dict.fromkeys(("fd", "fid", "kd", "kid", "domain_fd", "domain_fid", "own_fd", "own_fid", ELSEWHERE), -1),
    **dict.fromkeys(("recall", "precision", "density", "coverage"), 1),
}
"""The parts of likeness with a good direction: -1 where a lower value is nearer to the target, 1 where a higher is."""


class RankedPart(Part):
    """One part of a source model's likeness to the target, and the source's place by it."""

    rank: float | None = None
    """1 for the best; equals share the mean of their places; None of a part without a good direction or a value."""


class RankedSource(Config):
    """A source model, its rank, and every part of its likeness to the target."""

    source: str
    rank: float
    """Its place by the score that is expected of it: 1 for the best."""
    family: str = "resnet"
    """Of its networks; rankings of earlier versions are of the ResNet."""
    conditional: str | None = None
    """The classes that it can be asked for, "10 classes by norm"; None of an unconditional one."""
    network: str | None = None
    """Its family and size; None in the files of earlier versions, as are the next two."""
    licence: str | None = None
    origin: str | None = None
    predicted: Prediction | None = None
    """What is expected of it beside the best of the others; None where there are no others."""
    parts: dict[str, RankedPart]


class Ranking(Config):
    """Source models in the order of their rank, nearest to the target first."""

    target: str
    protocol: dict[str, Any]
    """What the parts were measured with: the protocol's fields, the number of neighbours, the target's digest."""
    counted: tuple[str, ...]
    """The parts that the rank is predicted from; the first is the Frechet distance."""
    rows: tuple[RankedSource, ...]
    """The source models, nearest first."""

    @property
    def order(self) -> tuple[str, ...]:
        """The sources' names, nearest first."""
        return tuple(row.source for row in self.rows)

    @property
    def separation(self) -> str | None:
        """Whether the first is told apart from the others, in a sentence; None where there are no others."""
        first, *others = self.rows
        if not others or first.predicted is None:
            return None
        if first.predicted.separated:
            return f"{first.source} is told apart from the others: the best with probability {first.predicted.best:.2f}"
        behind = [row.source for row in others if row.predicted and row.predicted.separated]
        near = [row.source for row in others if row.source not in behind]
        rivals = (
            f"{', '.join(near)} may be as good"
            if near
            else "of the others, each surely behind it, any may yet be better"
        )
        return (
            f"not separated: {first.source} is the best with probability {first.predicted.best:.2f}, and {rivals}; only training "
            "tells"
        )

    @property
    def distances(self) -> dict[str, float]:
        """The Frechet distance of each source's own samples to the target, by name, nearest by rank first."""
        values = {row.source: row.parts[self.counted[0]].value for row in self.rows}
        return {source: value for source, value in values.items() if value is not None}


def rank_sources(
    home: Home,
    target: Domain,
    sources: Sequence[SourceModel],
    protocol: Protocol,
    elsewhere: Sequence[Seen] | None = None,
) -> Ranking:
    """Measure each source model's likeness to the target, or look it up, and rank them; progress is shown on stderr.

    `elsewhere` is what sources did on other targets, by default all that the home's studies say.
    """
    check_compared(target, protocol)
    found = {}
    with progress(f"ranking sources for {target.facts.name}", "source models") as report:
        for number, source in enumerate(sources):
            report(number, len(sources))
            found[source.facts.name] = likeness(home, target, source, protocol)
        report(len(sources), len(sources))
    names = distance_names(protocol)
    if elsewhere is None:
        elsewhere = of_home(home, target, names)[0] if len(sources) > 1 else ()
    about = protocol.model_dump(exclude={"metrics", "iw"}) | {
        "neighbours": NEIGHBOURS,
        "target_digest": target.facts.digest,
        "resizer_of_samples": RESIZER,
    }
    of = {source.facts.name: _facts(source.facts) for source in sources}
    rows = tuple(row.model_copy(update=of[row.source]) for row in ranked_rows(found, names, elsewhere))
    return Ranking(target=target.facts.name, protocol=about, counted=(*weighed(names), ELSEWHERE), rows=rows)


def _facts(source: SourceFacts) -> dict[str, str | None]:
    """What a row says of a source beside its likeness."""
    size = f"{source.network.family}, {source.network.resolution} px"
    licence = source.licence or NO_LICENCE
    return {
        "family": source.network.family,
        "conditional": conditions(source.network),
        "network": size,
        "licence": licence,
        "origin": source.short_origin,
    }


def ranked_rows(
    found: Mapping[str, Mapping[str, Part]], distances: tuple[str, str], elsewhere: Sequence[Seen] = ()
) -> Iterator[RankedSource]:
    """Rank source models by `found`, the parts of each; the best comes first, of equals the one at less distance.

    The order of two is the same whoever else is among them, so it goes by what is expected of each and not by its ratio to the
    best other, which is of draws too.

    `distances` are what Frechet and kernel distance are called in their features, `elsewhere` what came of sources on other
    targets.
    """
    predicted = predict(found, distances, shipped(), elsewhere) if len(found) > 1 else {}
    logs = expected(found, distances, shipped(), elsewhere)
    found = {
        source: {**parts, **effect}
        for (source, parts), effect in zip(found.items(), _effects(found, elsewhere), strict=True)
    }
    order = places_by(list(logs.values()), -1)
    measured_of_all = [name for name in _GOOD if all(name in parts for parts in found.values())]
    places = {name: places_by([parts[name].value for parts in found.values()], _GOOD[name]) for name in measured_of_all}
    rows = []
    for number, (source, parts) in enumerate(found.items()):
        ranked = {
            name: RankedPart(**part.model_dump(), rank=None if part.value is None else _at(places.get(name), number))
            for name, part in parts.items()
        }
        rows.append(RankedSource(source=source, rank=order[number], predicted=predicted.get(source), parts=ranked))
    return iter(sorted(rows, key=lambda row: (row.rank, row.parts[distances[0]].value or np.inf, row.source)))


def _effects(found: Iterable[str], elsewhere: Sequence[Seen]) -> Iterator[dict[str, Part]]:
    """What each source did on other targets, as parts."""
    told = on_other_targets(shipped(), elsewhere)
    for source in found:
        there = told.get(source)
        note = (
            None if there else "no trial of this home fine-tuned it, with another source beside it, on another target"
        )
        yield {
            ELSEWHERE: Part(value=there and there.ratio, note=note),
            f"{ELSEWHERE}_targets": Part(value=there.targets if there else 0),
        }


def _at(places: Sequence[float] | None, number: int) -> float | None:
    return None if places is None else places[number]


def places_by(values: Sequence[float | None], way: int) -> list[float]:
    """Give the place of each value, in their order: 1 for the best, the highest if `way` is 1, the lowest if -1.

    Equal values share the mean of their places; those that are None share the last places.
    """
    costs = np.array([np.inf if value is None else -way * value for value in values])
    return [float((costs < cost).sum() + ((costs == cost).sum() + 1) / 2) for cost in costs]


def on_the_shelf(home: Home) -> tuple[list[SourceModel], list[str]]:
    """List the shelf's source models, and a line for each one that can't be read."""
    models, notes = [], []
    for name in shelf(home):
        try:
            models.append(open_source(home, name))
        except UserError as error:
            notes.append(f"left out: {error}")
    return models, notes


def of_resolution(home: Home, domain: Domain) -> tuple[list[SourceModel], list[str]]:
    """List the shelf's source models of the domain's resolution, and a line for each other one: why it is left out."""
    models, notes = on_the_shelf(home)
    size = domain.facts.resolution
    others = [
        f"source model {model.facts.name!r} is left out: it has {model.facts.network.resolution} pixels, domain "
        f"{domain.facts.name!r} {size}"
        for model in models
        if model.facts.network.resolution != size
    ]
    return [model for model in models if model.facts.network.resolution == size], [*notes, *others]


def rank_shelf(home: Home, target: str, names: Sequence[str] | None, protocol: Protocol) -> tuple[Ranking, list[str]]:
    """Rank the source models of these names for domain `target`, or all that there are, of whatever family and resolution.

    Gives the ranking, and a line for each source model and study that was left out. Raises UserError if a name is not known, or
    if there is no source model to rank.
    """
    domain = open_domain(home, target)
    sources, notes = ([open_source(home, name) for name in names], []) if names else on_the_shelf(home)
    if not sources:
        raise UserError("no source model is on the shelf; train one with: understock sources train DOMAIN")
    elsewhere, unreadable = of_home(home, domain, distance_names(protocol))
    return rank_sources(home, domain, sources, protocol, elsewhere), [*notes, *unreadable]


def write_ranking(path: Path, ranking: Ranking) -> None:
    """Write the ranking to file `path`, as JSON."""
    with writing(path) as beside:
        beside.write_text(ranking.model_dump_json(indent=1) + "\n")
