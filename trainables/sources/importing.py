"""Source models made elsewhere: safetensors files whose tensors a key map gives our names."""

import datetime
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from spaces.networks import parse_network
from spaces.records import Config
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.networks.families import DISCRIMINATOR, FAMILIES, GENERATOR, AnyNetwork, build_generator
from trainables.networks.models import Model
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.sources.shelf import SourceError, SourceFacts, check_fits, check_new, save_source
from trainables.storage.home import Home
from trainables.storage.weights import read_tensors

NETWORKS = (GENERATOR, DISCRIMINATOR)
_PREFIXES = tuple(f"{part}." for part in NETWORKS)


class _Training(Config):
    """What its user knows of a source model's training."""

    domain: str
    images: PositiveInt
    classes: PositiveInt
    images_seen: NonNegativeInt = 0


def add_source(
    home: Home,
    name: str,
    files: Sequence[Path],
    network: Mapping[str, object],
    domain: Mapping[str, object],
    *,
    key_map: Path | None = None,
    replace: bool = False,
) -> SourceFacts:
    """Put weights from safetensors `files` on the shelf.

    One file holds both networks, its names starting with "generator." and "discriminator.", or a generator alone, without
    the prefix; two files hold one each, in that order, without the prefix. A key map is a JSON object {their name: our
    name}; names it does not list stay as they are, and null drops a tensor. The generator's running statistics of batch
    norm may be missing: they are computed from the weights. `domain` gives the facts "domain", "images", "classes", and may
    give "images_seen".

    Raises UserError for facts that can't be, and SourceError that names the first tensor which does not fit `network`, with
    both shapes.
    """
    check_new(home, name, replace=replace)
    about = _Training.parse(domain, f"source model {name!r}")
    parse_network(network, f"source model {name!r}")  # before files are read: what is given is within its limits
    weights = _by_network(files, _read_key_map(key_map))
    seen = _read_off(weights[GENERATOR])
    where = f"source model {name!r} from {', '.join(map(str, files))}{_in_words(seen)}"
    config = _network(seen, network, where)
    missing = {key: t for key, t in build_generator(config, 0).state_dict().items() if _is_statistic(key)}
    weights[GENERATOR] = missing | weights[GENERATOR]
    model = Model(dict.fromkeys(weights, config), weights)
    check_fits(model, where)
    generator = model.network(GENERATOR)
    set_standing_statistics(generator)
    weights[GENERATOR] = generator.state_dict()
    facts = {
        **about.model_dump(),
        "name": name,
        "images_per_class": about.images / about.classes,
        "scores": {},
        "protocol": {},
        "origin": f"added from {', '.join(str(path.absolute()) for path in files)}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    samples = io.BytesIO()
    image_grid(sample(generator, GRID_IMAGES, seed=0).numpy()).save(samples, format="png")
    return save_source(home.source(name), facts, model, samples.getvalue())


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


def _network(seen: Mapping[str, object], given: Mapping[str, object], where: str) -> AnyNetwork:
    """The config of the networks: what is given, and for the rest what their tensors give away."""
    if not seen and "family" not in given:
        raise SourceError(
            f"{where}: its tensors are those of no generator known here, a {' or a '.join(FAMILIES)}; give a --key-map "
            "FILE.json of {their name: our name, or null to drop it}"
        )
    of_this_family = given.get("family", seen.get("family")) == seen.get("family")
    return parse_network({**(seen if of_this_family else {}), **given}, where)


def _is_statistic(key: str) -> bool:
    return key.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked")


def _by_network(files: Sequence[Path], key_map: Mapping[str, str | None]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each network in the files, by our names."""
    if len(files) not in (1, 2):
        raise SourceError(
            f"got {len(files)} files; give one with both networks or the generator, or the generator's and the discriminator's"
        )
    prefixes = [""] if len(files) == 1 else [f"{part}." for part in NETWORKS]
    tensors = {
        prefix + key: t
        for prefix, path in zip(prefixes, files, strict=True)
        for key, t in read_tensors(path)[0].items()
    }
    named = {key_map.get(key, key): tensor.to(torch.float32) for key, tensor in tensors.items()}
    renamed = {key: tensor for key, tensor in named.items() if key is not None}
    if not any(key.startswith(_PREFIXES) for key in renamed):
        renamed = {f"{GENERATOR}.{key}": tensor for key, tensor in renamed.items()}
    if strangers := [key for key in renamed if not key.startswith(_PREFIXES)]:
        raise SourceError(
            f"{files[0]}: tensor {strangers[0]!r} belongs to neither generator nor discriminator; names must start with "
            "'generator.' or 'discriminator.', so give a --key-map FILE.json of {their name: our name, or null to drop it}"
        )
    found = {part: _below(part, renamed) for part in NETWORKS}
    return {part: weights for part, weights in found.items() if weights or part == GENERATOR}


def _below(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _read_key_map(path: Path | None) -> dict[str, str | None]:
    if path is None:
        return {}
    try:
        mapping = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SourceError(f"key map {path} can't be read as JSON ({error})") from None
    if not isinstance(mapping, dict) or not all(v is None or isinstance(v, str) for v in mapping.values()):
        raise SourceError(f"key map {path} is not a JSON object of {{their name: our name, or null}}")
    return mapping
