"""Cutting a larger StyleGAN2 to a smaller resolution: what its lower blocks know, as an initialisation.

The generator keeps its mapping network and the blocks up to the resolution, whose torgb give the image; a generator of
architecture "skip" has one in each. The critic keeps the blocks from the resolution down, and takes a new fromrgb. It has
never seen such images, and the generator's are without what the finer blocks added: neither is a trained model.
"""

import datetime
import io
import re
from collections.abc import Mapping

from torch import Tensor

from spaces.networks import StyleGAN2Config, parse_network
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_discriminator
from trainables.networks.models import Model
from trainables.networks.sampling import sample
from trainables.networks.stylegan2_generator import levels_of
from trainables.sources.shelf import SourceError, SourceFacts, check_new, open_source, save_source
from trainables.storage.home import Home, claim


def cut_source(
    home: Home, name: str, resolution: int, new_name: str, *, seed: int = 0, replace: bool = False
) -> SourceFacts:
    """Put the source model `name`, cut to `resolution`, on the shelf under `new_name`; its scores are not carried over.

    SourceError unless it is a stylegan2 of a larger resolution, whose generator gives an image at every one.
    """
    check_new(home, new_name, replace=replace)
    source = open_source(home, name)
    model = cut(source.model(), resolution, f"source model {name!r}", seed)
    facts = source.facts.model_dump(exclude={"digest", "networks"}) | {
        "name": new_name,
        "images_seen": 0,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "scores": {},
        "protocol": {},
        "origin": f"source model {name!r} ({source.facts.digest[:12]}) cut from {source.facts.network.resolution} to "
        f"{resolution} pixels, an initialisation: its fromrgb is new and nothing was trained since; {source.facts.origin}",
    }
    with claim(home, "sources", new_name, replace=replace):
        samples = io.BytesIO()
        image_grid(sample(model.network(GENERATOR), GRID_IMAGES, seed).numpy()).save(samples, format="png")
        return save_source(home.source(new_name), facts, model, samples.getvalue())


def cut(model: Model, resolution: int, where: str, seed: int) -> Model:
    """The model's networks at a smaller resolution; the new fromrgb is drawn by `seed`. SourceError as `cut_source`."""
    network = model.networks[GENERATOR]
    if not isinstance(network, StyleGAN2Config):
        raise SourceError(
            f"{where} is a {network.family}, and only a stylegan2 has an image at every resolution to cut at"
        )
    if network.generator_architecture != "skip":
        raise SourceError(
            f"{where} has a generator of architecture {network.generator_architecture!r}, which gives an image at its last "
            "resolution alone; only 'skip' can be cut"
        )
    if resolution >= network.resolution:
        raise SourceError(f"{where} has {network.resolution} pixels; give fewer than that, not {resolution}")
    configs = {part: _smaller(config, resolution, where) for part, config in model.networks.items()}
    weights = {GENERATOR: _below(model.weights[GENERATOR], resolution)}
    if DISCRIMINATOR in model.networks:
        fresh = build_discriminator(configs[DISCRIMINATOR], seed).state_dict()
        weights[DISCRIMINATOR] = fresh | _below(model.weights[DISCRIMINATOR], resolution)
    return Model(configs, weights, model.class_names)


def _smaller(network: object, resolution: int, where: str) -> StyleGAN2Config:
    assert isinstance(network, StyleGAN2Config), f"{network=}"
    levels = levels_of(network)
    values = network.model_dump() | {"resolution": resolution, "width": levels.get(resolution, 1)}
    smaller = parse_network(values, where)
    assert isinstance(smaller, StyleGAN2Config), f"{smaller=}"
    return smaller


def _below(state: Mapping[str, Tensor], resolution: int) -> dict[str, Tensor]:
    """The tensors of no block, or of one of no more pixels."""
    sides = {name: int(match[1]) for name in state if (match := re.search(r"(?:^|\.)b(\d+)\.", name))}
    return {name: tensor for name, tensor in state.items() if sides.get(name, 0) <= resolution}
