"""Pictures for a report: a source model's answer to the z of a study's trials, and the nearest training images of samples."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.protocol import Protocol
from trainables.images.domains import Domain, open_domain
from trainables.images.grids import GAP, GRID_IMAGES, image_grid
from trainables.machine.devices import best_device
from trainables.metrics.features import load_extractor
from trainables.metrics.manifolds import squared_distances
from trainables.metrics.reference import features_of, trained_features
from trainables.networks.sampling import ZSampler
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home, writing

SHOWN, NEAREST = 8, 3
HELD_OUT = 256
"""Real images at most that say what distances are to be expected."""


def write_source_grid(home: Home, name: str, protocol: Protocol, output: Path) -> None:
    """A grid of the source model's samples from the same z as the grids of every trial under `protocol`."""
    draw = ZSampler(open_source(home, name).model())
    images = draw(min(GRID_IMAGES, protocol.n_fake), protocol.seed).images.numpy()
    with writing(output) as beside:
        image_grid(images).save(beside, format="png")


def write_samples_grid(source: SourceModel, n: int, seed: int, output: Path) -> None:
    """A grid of `n` samples of a source model, from the z of that seed."""
    images = ZSampler(source.model())(n, seed).images.numpy()
    with writing(output) as beside:
        image_grid(images).save(beside, format="png")


def write_neighbours(home: Home, config: TrialConfig, grid: Path, output: Path) -> None:
    """The training images nearest to the samples in `grid`, which a trial of `config` left, by its protocol's features.

    `output` gets a picture: on top the 8 samples nearest to a training image, below each its 3 nearest ones. A JSON of the
    same name gets each sample's distance to its nearest training image ("samples"), the same of held-out images
    ("held_out"), "train_images" and "extractor". Of more training images than the protocol's `n_real`, so many are looked at;
    for a trial that mirrors images, their mirror images too.
    UserError if the domain is not there, is another one than was trained on, or has no held-out images.
    """
    domain, protocol = open_domain(home, config.target), config.protocol
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, best_device())
    rows = domain.chosen(config.data)[: protocol.n_real]
    held_out = domain.subset(None, protocol.seed, "val")[:HELD_OUT]
    if len(held_out) == 0:
        raise UserError(f"domain {domain.facts.name!r} has no val images to compare distances with")
    samples = tiles(grid, domain.facts.resolution)
    folder = home.domain(config.target)
    train = trained_features(domain, folder, extractor, rows, protocol.n_real, protocol.seed, mirrors=config.mirrors)
    distances = np.sqrt(squared_distances(extractor(samples), train))  # (samples, rows)
    unseen = features_of(domain, folder, extractor, held_out, protocol.n_real, protocol.seed)
    expected = np.sqrt(squared_distances(unseen, train)).min(axis=1)
    found = {
        "samples": distances.min(axis=1).tolist(),
        "held_out": expected.tolist(),
        "train_images": len(rows),
        "extractor": extractor.name,
    }
    with writing(output) as beside:
        _picture(samples, distances, domain, rows).save(beside, format="png")
    with writing(output.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(found))


def tiles(grid: Path, size: int) -> NDArray[np.uint8]:
    """The images of a grid that `image_grid` made, uint8 (N, 3, size, size); places left white at the end are no images."""
    with Image.open(grid) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    step = size + GAP
    found = [
        pixels[top : top + size, left : left + size].transpose(2, 0, 1)
        for top in range(0, pixels.shape[0], step)
        for left in range(0, pixels.shape[1], step)
    ]
    while len(found) > 1 and (found[-1] == 255).all():
        found.pop()
    return np.stack(found)


def _trained(domain: Domain, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The images at these places of the training images, (n, 3, R, R): those from `len(rows)` on are mirror images."""
    images: NDArray[np.uint8] = domain.images[rows[places % len(rows)]]
    mirrored = places >= len(rows)
    images[mirrored] = images[mirrored][..., ::-1]
    return images


def _picture(
    samples: NDArray[np.uint8], distances: NDArray[np.float64], domain: Domain, rows: NDArray[np.int64]
) -> Image.Image:
    shown = np.argsort(distances.min(axis=1), kind="stable")[:SHOWN]
    nearest = np.argsort(distances[shown], axis=1, kind="stable")[:, :NEAREST]  # (shown, nearest)
    below = [_trained(domain, rows, nearest[:, place]) for place in range(nearest.shape[1])]
    return image_grid(np.concatenate([samples[shown], *below]), columns=len(shown))
