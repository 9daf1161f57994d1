"""Source models made elsewhere: safetensors files whose tensors a key map gives our names."""

import datetime
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from spaces.config import Config, Network
from trainables.images.grids import image_grid
from trainables.networks.resnet import Generator, sample, set_standing_statistics
from trainables.sources.shelf import PARTS, SourceError, SourceFacts, check_fits, check_new, save_source
from trainables.storage.home import Home
from trainables.storage.weights import read_tensors


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
    network: Network,
    domain: Mapping[str, object],
    *,
    key_map: Path | None = None,
    replace: bool = False,
) -> SourceFacts:
    """Put weights from safetensors `files` on the shelf.

    One file holds both networks, its names starting with "generator." and "discriminator."; two files hold one each, in
    that order, without the prefix. A key map is a JSON object {their name: our name}; names it does not list stay as they
    are, and null drops a tensor. Batch norm's running statistics may be missing: they are computed from the weights.
    `domain` gives the facts "domain", "images", "classes", and may give "images_seen".

    Raises UserError for facts that can't be, and SourceError that names the first tensor which does not fit `network`, with
    both shapes.
    """
    check_new(home, name, replace=replace)
    about = _Training.parse(domain, f"source model {name!r}")
    weights = _by_part(files, _read_key_map(key_map))
    generator = Generator(network)
    missing = {key: t for key, t in generator.state_dict().items() if _is_statistic(key)}
    weights["generator"] = missing | weights["generator"]
    check_fits(weights, network, f"source model {name!r} from {', '.join(map(str, files))}")
    generator.load_state_dict(weights["generator"])
    set_standing_statistics(generator)
    weights["generator"] = generator.state_dict()
    facts = {
        **about.model_dump(),
        "name": name,
        "network": network.model_dump(),
        "images_per_class": about.images / about.classes,
        "scores": {},
        "protocol": {},
        "origin": f"added from {', '.join(str(path.absolute()) for path in files)}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    samples = io.BytesIO()
    image_grid(sample(generator, 64, seed=0).numpy()).save(samples, format="png")
    return save_source(home.source(name), facts, weights, samples.getvalue())


def _is_statistic(key: str) -> bool:
    return key.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked")


def _by_part(files: Sequence[Path], key_map: Mapping[str, str | None]) -> dict[str, dict[str, Tensor]]:
    if len(files) not in (1, 2):
        raise SourceError(
            f"got {len(files)} files; give one with both networks, or the generator's and the discriminator's"
        )
    prefixes = [""] if len(files) == 1 else [f"{part}." for part in PARTS]
    tensors = {
        prefix + key: t
        for prefix, path in zip(prefixes, files, strict=True)
        for key, t in read_tensors(path)[0].items()
    }
    renamed = {key_map.get(key, key): tensor.to(torch.float32) for key, tensor in tensors.items()}
    strangers = [key for key in renamed if key is not None and not key.startswith(tuple(f"{part}." for part in PARTS))]
    if strangers:
        raise SourceError(
            f"{files[0]}: tensor {strangers[0]!r} belongs to neither generator nor discriminator; names must start with "
            "'generator.' or 'discriminator.', so give a --key-map FILE.json of {their name: our name, or null to drop it}"
        )
    return {
        part: {key.removeprefix(f"{part}."): t for key, t in renamed.items() if key and key.startswith(f"{part}.")}
        for part in PARTS
    }


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
