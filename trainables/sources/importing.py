"""Source models made elsewhere: safetensors files whose tensors a key map gives our names."""

import datetime
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from spaces.networks import AnyNetwork, parse_network
from spaces.records import Config
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.networks.families import DISCRIMINATOR, FAMILIES, GENERATOR, build_generator
from trainables.networks.models import Model
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.sources.shelf import SourceError, SourceFacts, check_finite, check_fits, check_new, save_source
from trainables.storage.home import Home, claim
from trainables.storage.json_files import read_json
from trainables.storage.weights import read_tensors

NETWORKS = (GENERATOR, DISCRIMINATOR)
_PREFIXES = tuple(f"{part}." for part in NETWORKS)

WRAPPINGS = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before the names of what they wrap, one in the other as it comes."""


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
    the prefix; two files hold one each, in that order, with or without it. What `WRAPPINGS` lists comes off the names. A
    key map is a JSON object {their name: our name}, their names as they stand in the files; those it does not list stay as
    they are, and null drops a tensor. The generator's running statistics of batch norm may be missing: they are computed
    from the weights. `domain` gives the facts "domain", "images", "classes", and may give "images_seen".

    Raises UserError for facts that can't be, and SourceError for a key map that names what no file has or two tensors
    alike, and for the first tensor which does not fit `network`, with both shapes, or is not finite. Of several processes
    that make one name, one does; UserError for the others.
    """
    check_new(home, name, replace=replace)
    about = _Training.parse(domain, f"source model {name!r}")
    parse_network(network, f"source model {name!r}")  # before files are read: what is given is within its limits
    with claim(home, "sources", name, replace=replace):
        model = _read_model(name, files, network, key_map)
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
        image_grid(sample(model.network(GENERATOR), GRID_IMAGES, seed=0).numpy()).save(samples, format="png")
        return save_source(home.source(name), facts, model, samples.getvalue())


def _read_model(name: str, files: Sequence[Path], given: Mapping[str, object], key_map: Path | None) -> Model:
    """The model in the files, whole and finite, with statistics of its batch norm."""
    weights = _by_network(files, _read_key_map(key_map))
    seen = _read_off(weights[GENERATOR])
    where = f"source model {name!r} from {', '.join(map(str, files))}{_in_words(seen)}"
    config = _network(seen, given, where)
    missing = {key: t for key, t in build_generator(config, 0).state_dict().items() if _is_statistic(key)}
    weights[GENERATOR] = missing | weights[GENERATOR]
    model = Model(dict.fromkeys(weights, config), weights)
    check_fits(model, where)
    check_finite(model, where)
    generator = model.network(GENERATOR)
    set_standing_statistics(generator)
    weights[GENERATOR] = generator.state_dict()
    check_finite(model, where)  # the statistics too
    return model


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
    renamed = _renamed(files, [""] if len(files) == 1 else [f"{part}." for part in NETWORKS], key_map)
    if not any(key.startswith(_PREFIXES) for key in renamed):
        renamed = {f"{GENERATOR}.{key}": tensor for key, tensor in renamed.items()}
    if strangers := [key for key in renamed if not key.startswith(_PREFIXES)]:
        raise SourceError(
            f"{files[0]}: tensor {strangers[0]!r} belongs to neither generator nor discriminator; names must start with "
            "'generator.' or 'discriminator.', so give a --key-map FILE.json of {their name: our name, or null to drop it}"
        )
    below = {part: _below(part, renamed) for part in NETWORKS}
    return {part: weights for part, weights in below.items() if weights or part == GENERATOR}


def _renamed(files: Sequence[Path], parts: Sequence[str], key_map: Mapping[str, str | None]) -> dict[str, Tensor]:
    """All tensors by our names, those of each file below its part; the map may name them with their part, too."""
    ours: dict[str, tuple[str, Tensor]] = {}
    found = [(part, theirs, tensor) for part, path in zip(parts, files, strict=True) for theirs, tensor in _read(path)]
    used = {name for part, theirs, _ in found for name in (theirs, part + theirs)}
    if unused := sorted(key_map.keys() - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise SourceError(
            f"key map: {unused[0]!r:.200}{more} is no tensor of {' or '.join(map(str, files))}, which begins with "
            f"{min((theirs for _, theirs, _ in found), default=None)!r}; give names as they stand there"
        )
    for part, theirs, tensor in found:
        mapped = next((key for key in (part + theirs, theirs) if key in key_map), None)
        name = _unwrapped(theirs) if mapped is None else key_map[mapped]
        if name is None:
            continue
        whole = name if name.startswith(part) else part + name
        if whole in ours:
            raise SourceError(
                f"{ours[whole][0]!r} and {theirs!r} would both be tensor {whole!r}; give a --key-map that tells them apart, "
                "or null for one of them to drop it"
            )
        ours[whole] = theirs, tensor.to(torch.float32)
    return {name: tensor for name, (_, tensor) in ours.items()}


def _read(path: Path) -> Iterable[tuple[str, Tensor]]:
    return read_tensors(path)[0].items()


def _unwrapped(name: str) -> str:
    """A tensor's name without the wrappings, at its start or behind the network that it belongs to."""
    part = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
    rest = name.removeprefix(part)
    while wrapping := next((prefix for prefix in WRAPPINGS if rest.startswith(prefix)), None):
        rest = rest.removeprefix(wrapping)
    return part + rest if part or rest == name else _unwrapped(rest)


def _below(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _read_key_map(path: Path | None) -> dict[str, str | None]:
    if path is None:
        return {}
    try:
        mapping = read_json(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"key map {path} can't be read as JSON ({error})") from None
    if not isinstance(mapping, dict) or not all(v is None or isinstance(v, str) for v in mapping.values()):
        raise SourceError(f"key map {path} is not a JSON object of {{their name: our name, or null}}")
    return mapping
