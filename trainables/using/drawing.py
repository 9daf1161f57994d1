"""Drawing from a model on disk: of noise, or of the images that it translates."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spaces.errors import UserError
from spaces.protocol import Protocol
from trainables.images.domains import open_domain, read_facts
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.images.importing.decoding import quiet_pillow, square_rgb, why_not
from trainables.images.importing.folders import folder_origin
from trainables.images.samples import Inputs, Samples
from trainables.methods.fewshot.funit import FunitSampler
from trainables.methods.fewshot.sampling import ShotSampler
from trainables.methods.registry import class_number, method_of
from trainables.methods.translation.translating import held_out_inputs
from trainables.networks.models import read_model
from trainables.networks.sampling import ZSampler
from trainables.networks.truncation import check_truncation
from trainables.storage.home import Home, writing

DRAWN = 64
"""How many images are drawn, unless the user says."""


def draw(
    home: Home,
    path: Path,
    n: int | None,
    seed: int,
    folder: Path | None = None,
    label: str | None = None,
    truncation: float = 1.0,
    shots_from: Path | None = None,
) -> Samples:
    """`n` images of the model at `path`; by default 64, or all of a folder's.

    A model that translates takes the first n images of `folder`, by path, or else images of the home's domain that it was
    trained with, held-out ones first, in an order that follows from the seed. One that makes more of few images takes all of
    `shots_from`, or of `folder`, as images of one class, or else those in its files; one that translates into a class that few
    images show takes both. Of a conditional model `label` asks for one class. UserError if there is no model, no such domain
    or class, no image in the folder, or if the model makes images of noise alone and a folder is given, or of no shots and
    such are, or of images alone and a truncation is, or if that is out of bounds.
    """
    check_truncation(truncation)
    model, facts = read_model(path)
    method = method_of(facts.method)
    sampler = method.sampler(model)
    if shots_from is not None and not isinstance(sampler, (ShotSampler, FunitSampler)):
        raise UserError(
            f"{path} is a model of method {facts.method!r}, which makes no more of images; leave out --shots-from"
        )
    if isinstance(sampler, ZSampler):
        if folder is not None:
            raise UserError(
                f"{path} is a model of method {facts.method!r}, which translates no images; leave out --inputs"
            )
        return sampler.drawn(n or DRAWN, seed, label=class_number(sampler, label), truncation=truncation)
    if truncation != 1:
        raise UserError(f"{path} is a model of method {facts.method!r}, which has no z; leave out --truncation")
    if isinstance(sampler, ShotSampler):
        if folder is not None and shots_from is not None:
            raise UserError(
                f"{path} is a model of method {facts.method!r}, which makes more of one folder of images; leave out --inputs"
            )
        return _more(sampler, n or DRAWN, seed, shots_from or folder, label)
    if label is not None:
        raise UserError(f"{path} is a model of method {facts.method!r}, which is asked for no class; leave out --label")
    if folder is not None:
        inputs = folder_inputs(folder, read_facts(home.domain(facts.config["target"])).resolution, n)
    else:
        inputs = held_out_inputs(open_domain(home, facts.config["source"]), n or DRAWN, seed)
    if shots_from is not None and isinstance(sampler, FunitSampler):
        return sampler.drawn_of(shots_of(shots_from, sampler.shots.network.resolution).images, inputs)
    return sampler(len(inputs.images), seed, inputs)


def _more(sampler: ShotSampler, n: int, seed: int, folder: Path | None, label: str | None) -> Samples:
    """More of the model's own shots, or of all images of a folder, which are of one class."""
    if folder is None:
        return sampler.drawn(n, seed, label=class_number(sampler, label))
    if label is not None:
        raise UserError(f"the images of {folder} are of one class, and label {label!r} would be another; leave it out")
    return sampler.drawn_of(shots_of(folder, sampler.shots.network.resolution).images, n, seed)


def shots_of(folder: Path, resolution: int) -> Inputs:
    """All images of a folder, which are of one class; as `folder_inputs`, and UserError for one of class folders."""
    if folder.is_dir() and len(classes := folder_origin(folder, None).class_names) > 1:
        raise UserError(
            f"{folder} has folders of {len(classes):,} classes, {classes[0]!r} the first; give that of one class"
        )
    return folder_inputs(folder, resolution)


def write_inputs_grid(home: Home, name: str, protocol: Protocol, output: Path) -> None:
    """A grid of a source domain's images, in the places of their translations in the grids of every trial under `protocol`."""
    inputs = held_out_inputs(open_domain(home, name), min(GRID_IMAGES, protocol.n_fake), protocol.seed)
    with writing(output) as beside:
        image_grid(inputs.images.numpy()).save(beside, format="png")


def write_grid(home: Home, path: Path, output: Path) -> bool:
    """A grid of the model's images of seed 0, into the file `output`; False where the home lacks what it would translate."""
    try:
        samples = draw(home, path, GRID_IMAGES, 0)
    except UserError:
        return False
    image_grid(samples.images.numpy()).save(output, format="png")
    return True


def folder_inputs(folder: Path, resolution: int, n: int | None = None) -> Inputs:
    """The first `n` images of a folder, by path, as a domain of that resolution would hold them.

    UserError if there are none, or if one of them can't be read.
    """
    if not folder.is_dir():
        raise UserError(f"inputs {folder} is no folder; give a folder of images")
    origin = folder_origin(folder, None)
    images: list[NDArray[np.uint8]] = []
    with quiet_pillow():
        for item in origin.items:
            if len(images) == n:
                break
            try:
                images.append(square_rgb(item.read()[0], resolution))
            except (OSError, ValueError) as error:
                raise UserError(f"input {folder / item.name} can't be used: {why_not(error)}; remove it") from None
    if not images:
        raise UserError(f"inputs {folder} has no images")
    return Inputs(torch.from_numpy(np.stack(images)))
