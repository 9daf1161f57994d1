"""Source models made elsewhere: checkpoints of formats that are known, or tensors that a key map gives our names."""

import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_in
from pathlib import Path
from typing import Annotated

import torch
from pydantic import NonNegativeInt, PositiveInt, StringConstraints
from torch import Tensor

from spaces.counts import plural
from spaces.networks import AnyNetwork, classes_of, parse_network
from spaces.records import Config
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.networks.families import FAMILIES, GENERATOR, IN_TRAINING, empty_network
from trainables.networks.models import Model
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.sources.foreign.files import refusing
from trainables.sources.foreign.recognition import recognised
from trainables.sources.naming import by_network, named, read_key_map
from trainables.sources.shelf import (
    SourceError,
    SourceFacts,
    check_finite,
    check_fits,
    check_new,
    own_model,
    save_source,
)
from trainables.storage.home import Home, claim

UNKNOWN = "unknown"
"""The domain of a source model of which nobody said what it was trained on."""


@dataclass(frozen=True)
class Added:
    """A source model that came to the shelf, and what was missing in its files, a line each."""

    facts: SourceFacts
    notes: tuple[str, ...]


class _Training(Config):
    """What its user, or its file, knows of a source model's training."""

    domain: str = UNKNOWN
    images: PositiveInt | None = None
    classes: PositiveInt = 1
    images_seen: NonNegativeInt = 0
    licence: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None


def add_source(
    home: Home,
    name: str,
    files: Sequence[Path],
    network: Mapping[str, object],
    domain: Mapping[str, object],
    *,
    key_map: Path | None = None,
    class_names: Sequence[str] = (),
    replace: bool = False,
) -> Added:
    """Put a GAN trained elsewhere on the shelf, from its `files`: nothing in them is run, whatever they are.

    A file of a format that is known (see `foreign.recognition`) needs no more. Of our own names, one file holds both
    networks, its names starting with "generator." and "discriminator.", or a generator alone, without the prefix; two files
    hold one each, in that order, with or without it. What `WRAPPINGS` lists comes off the names. A key map is a JSON object
    {their name: our name}, their names as they stand in the files; those it does not list stay as they are, and null drops a
    tensor. The generator's running statistics of batch norm may be missing: they are computed from the weights. `domain`
    gives what is known of "domain", "images", "classes", "images_seen" and "licence", `class_names` what the classes of a
    conditional generator are called. A DCGAN with more inputs than the z_dim that is given takes a class beside z.

    Raises UserError for facts that can't be and for files that can't be read, and SourceError for a key map that names what
    no file has or two tensors alike, and for the first tensor which does not fit `network`, with both shapes, or is not
    finite. Of several processes that make one name, one does; UserError for the others.
    """
    check_new(home, name, replace=replace)
    _Training.parse(domain, f"source model {name!r}")
    parse_network(network, f"source model {name!r}")  # before files are read: what is given is within its limits
    with claim(home, "sources", name, replace=replace):
        found = _read_model(name, files, network, key_map, class_names)
        about = _Training.parse({**found.about, **domain}, f"source model {name!r}")
        what = f"{found.format}, " if found.format else ""
        facts = {
            **about.model_dump(),
            "name": name,
            "images_per_class": about.images and about.images / about.classes,
            "scores": {},
            "protocol": {},
            "origin": f"{what}added from {', '.join(str(path.absolute()) for path in files)}",
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        samples = io.BytesIO()
        image_grid(sample(found.model.network(GENERATOR), GRID_IMAGES, seed=0).numpy()).save(samples, format="png")
        return Added(save_source(home.source(name), facts, found.model, samples.getvalue()), found.notes)


@dataclass(frozen=True)
class _Read:
    """What the files were found to hold."""

    model: Model
    format: str | None
    about: Mapping[str, object]
    """What the file says of the images that it was trained on."""
    notes: tuple[str, ...]


def _read_model(
    name: str, files: Sequence[Path], given: Mapping[str, object], key_map: Path | None, class_names: Sequence[str]
) -> _Read:
    """The model in the files, whole and finite, with statistics of its batch norm."""
    where = f"source model {name!r} from {', '.join(map(str, files))}"
    with refusing(where):
        own = own_model(files[0]) if key_map is None and len(files) == 1 else None
    if own:
        check_fits(own.model, where)
        check_finite(own.model, where)
        return _Read(own.model, "an export of understock", own.about, ())
    contents = named(files, read_key_map(key_map))
    with refusing(where):  # their names may tell of other tensors than they are
        known = recognised(contents, where)
        weights = known.weights if known else by_network(contents, where)
        seen = dict(known.config) if known else _read_off(weights[GENERATOR])
    config = _network(seen, given, where + _in_words(seen), contents.strangers)
    if class_names and len(class_names) != classes_of(config):
        asked = classes_of(config) or "none"
        raise SourceError(
            f"{where}: {plural(len(class_names), 'name')} of classes, for {asked} that it can be asked for"
        )
    model = Model(dict.fromkeys(weights, config), _completed(weights, config), tuple(class_names))
    check_fits(model, where + _in_words(seen))  # before anything is made: a few tensors may tell of a huge network
    model = replace_in(model, weights={part: _filled(tensors) for part, tensors in model.weights.items()})
    check_finite(model, where)
    generator = model.network(GENERATOR)
    set_standing_statistics(generator)
    model = replace_in(model, weights={**model.weights, GENERATOR: generator.state_dict()})
    check_finite(model, where)  # the statistics too
    return _Read(model, known.format if known else None, known.about if known else {}, known.missing if known else ())


def _completed(weights: Mapping[str, Mapping[str, Tensor]], config: AnyNetwork) -> dict[str, Mapping[str, Tensor]]:
    """The weights with what a file may leave out of a generator: statistics of batch norm, and shares of classes.

    Those take no memory yet: `_filled` gives them their numbers.
    """
    empty = empty_network(GENERATOR, config).state_dict()
    missing = {key: tensor for key, tensor in empty.items() if _is_statistic(key) or key == "prior"}
    generators = {name: missing | dict(weights[name]) for name in (GENERATOR, IN_TRAINING) if name in weights}
    return {**weights, **generators}


def _filled(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those without memory as a fresh network has them: norms that change nothing, equal shares of classes."""
    values = {"running_var": 1.0, "prior": 1 / max(1, len(tensors.get("prior", ())))}
    return {
        key: torch.full(tensor.shape, values.get(_leaf(key), 0), dtype=tensor.dtype) if tensor.is_meta else tensor
        for key, tensor in tensors.items()
    }


def _read_off(generator: Mapping[str, Tensor]) -> dict[str, object]:
    """The family and config that a generator's tensors give away; nothing if they are of no family."""
    for family, known in FAMILIES.items():
        fields = known.fields(generator)
        if "z_dim" in fields:  # so it is where z enters a generator of this family
            return {"family": family, **fields}
    return {}


def _in_words(seen: Mapping[str, object]) -> str:
    """ ", by its tensors a dcgan of resolution 64, width 64, z_dim 100", for an error to say."""
    if not seen:
        return ""
    fields = [f"{field} {seen[field]}" for field in ("resolution", "width", "z_dim") if field in seen]
    return f", by its tensors a {seen['family']} of {', '.join(fields)}"


def _network(
    seen: Mapping[str, object], given: Mapping[str, object], where: str, strangers: Mapping[str, int]
) -> AnyNetwork:
    """The config of the networks: what is given, and for the rest what their tensors give away."""
    if not seen and "family" not in given:
        raise SourceError(
            f"{where}: its tensors are those of no generator known here, a {' or a '.join(FAMILIES)}; give a --key-map "
            f"FILE.json of {{their name: our name, or null to drop it}}{_named(strangers)}"
        )
    of_this_family = given.get("family", seen.get("family")) == seen.get("family")
    inputs, z_dim = seen.get("z_dim"), given.get("z_dim")
    if seen.get("family") == "dcgan" and isinstance(inputs, int) and isinstance(z_dim, int) and z_dim < inputs:
        given = {**given, "classes": inputs - z_dim}
    return parse_network({**(seen if of_this_family else {}), **given}, where)


def _named(strangers: Mapping[str, int]) -> str:
    """The classes and functions that a file names most often and that mean nothing here, for an error to say."""
    most = sorted(strangers, key=lambda name: -strangers[name])[:3]
    return (
        f"; it names {plural(len(strangers), 'class', 'classes')} not looked into: {', '.join(most):.200}"
        if most
        else ""
    )


def _is_statistic(key: str) -> bool:
    return _leaf(key) in ("running_mean", "running_var", "num_batches_tracked")


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]
