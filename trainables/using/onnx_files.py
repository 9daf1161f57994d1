"""A model as one ONNX file, which other runtimes draw from without PyTorch."""

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spaces.errors import UserError
from trainables.machine.randomness import random_numbers
from trainables.methods.fewshot.funit import FunitSampler
from trainables.methods.fewshot.sampling import ShotSampler
from trainables.methods.method import Sampler
from trainables.methods.translation.translating import InputSampler
from trainables.networks.sampling import ZSampler, draw_inputs
from trainables.networks.truncation import pulls_w

OPSET = 20
"""The version of ONNX's operators that files are written in; runtimes of 2024 and later have it."""
TOLERANCE = 1e-4
"""How far images, in [-1, 1], may be from PyTorch's in any value."""
NEEDED = ("onnx", "onnxscript", "onnxruntime")
_TRACED, _CHECKED = 2, 3
"""Images that the network is traced with, and another number of them that the file is checked with."""


class _FromNoise(nn.Module):
    """A generator as a file offers it: of z, then of labels and of truncation where it takes them."""

    def __init__(self, generator: nn.Module, *, labelled: bool) -> None:
        super().__init__()
        self.generator, self._labelled = generator, labelled

    def forward(self, z: Tensor, *rest: Tensor) -> Tensor:
        labels, pulls = rest[: self._labelled], rest[self._labelled :]
        images: Tensor = self.generator(z, *labels, **({"truncation": pulls[0]} if pulls else {}))
        return images


def check_packages() -> None:
    """UserError if a package is missing that writing ONNX files takes."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"ONNX files need {' and '.join(missing)}, not installed here; install with: pip install 'understock[export]'"
        )


def write_onnx(sampler: Sampler, path: Path, about: Mapping[str, str], side: int | None) -> float:
    """Write what the sampler draws from to the file `path`, with `about` as its metadata.

    Inputs are `z`, float (N, z_dim), `label`, int64 (N,), of a conditional model, and `truncation`, a float, of one that maps
    z to w; or `inputs`, float (N, 3, side, side) in [-1, 1], of one that translates, whose `side` has to be given. The output
    is `images`, float (N, 3, R, R) in [-1, 1]. N is free.

    The file is run in onnxruntime: returns how far its images are from PyTorch's at most. UserError if that is more than
    TOLERANCE, if a package is missing, or if the model has no network.
    """
    check_packages()
    import onnx

    network, inputs = _network_of(sampler, _TRACED, side)
    free = {name: {0: torch.export.Dim("N")} if value.ndim else {} for name, value in inputs.items()}
    with torch.no_grad():
        network(*inputs.values())  # what a network keeps for its next call is made now, and no tensor of the tracer's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own making, about names of dimensions
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=["images"],
            dynamic_shapes=_shapes(free),
            opset_version=OPSET,
        )
    assert program is not None, "the exporter gives a program"
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(about))
    onnx.save(model, path)
    return _checked(path, sampler, side)


def _network_of(sampler: Sampler, n: int, side: int | None) -> tuple[nn.Module, dict[str, Tensor]]:
    """What makes the images, and inputs for `n` of them, by name."""
    if isinstance(sampler, InputSampler):
        assert side, f"{side=} of images to translate"
        images = torch.rand(n, 3, side, side, generator=random_numbers("ONNX inputs", 0))
        return sampler.translator, {"inputs": 2 * images - 1}
    if isinstance(sampler, (ShotSampler, FunitSampler)):
        raise UserError(
            "this model makes more of few images, which an ONNX file can't hold; export it as safetensors or hub"
        )
    if not isinstance(sampler, ZSampler):
        raise UserError(
            "this model has no network that an ONNX file could hold; its images are the source domain's own"
        )
    z, *labels = draw_inputs(sampler.generator, n, "ONNX inputs", 0)
    inputs = {"z": z} | ({"label": labels[0]} if labels else {})
    if pulls_w(sampler.generator):
        inputs["truncation"] = torch.tensor(0.7)
    return _FromNoise(sampler.generator, labelled=bool(labels)).eval(), inputs


def _shapes(free: Mapping[str, Mapping[int, Any]]) -> tuple[Any, ...]:
    """The dimensions that are free, as the exporter wants them: what comes after the first argument is one of its own."""
    first, *rest = free.values()
    return (first, tuple(rest)) if rest else (first,)


def _checked(path: Path, sampler: Sampler, side: int | None) -> float:
    """How far the file's images are from PyTorch's, of another number of them than it was traced with."""
    import onnxruntime

    network, inputs = _network_of(sampler, _CHECKED, side)
    with torch.no_grad():
        expected: NDArray[np.float32] = network(*inputs.values()).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["images"], {name: value.numpy() for name, value in inputs.items()})
    error = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
    if not error <= TOLERANCE:
        raise UserError(
            f"the ONNX file's images are {error:.2g} from PyTorch's, more than {TOLERANCE:g}, by torch {torch.__version__}; "
            "export as safetensors, and report it"
        )
    return error
