"""Checkpoints as others write them, by stand-ins for the classes that they name, which are gone when they are read."""

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spaces.networks import parse_network
from trainables.networks.families import build_discriminator, build_generator

SOURCE = "raise SystemExit('module_src was run')"
"""What the persistent classes of the stand-ins carry as the source of their networks."""


class _Callable:
    """An object that pickles as a call."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.args


@contextmanager
def _modules(**contents: dict[str, Any]) -> Iterator[None]:
    """Modules of these names ("a__b" for a.b) with these classes and functions, for as long as the block."""
    names = []
    for name, things in contents.items():
        dotted = name.replace("__", ".")
        for depth in range(1, dotted.count(".") + 2):
            whole = ".".join(dotted.split(".")[:depth])
            if whole not in sys.modules:
                names.append(whole)
                sys.modules[whole] = types.ModuleType(whole)
        for key, thing in things.items():
            thing.__module__, thing.__qualname__ = dotted, key
            setattr(sys.modules[dotted], key, thing)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def write_nvlabs(
    path: Path, networks: Mapping[str, tuple[str, Mapping[str, Tensor], Mapping[str, Any]]], **beside: Any
) -> Path:
    """A pickle of NVlabs: `networks` are class name, tensors and constructor's arguments by name ("G_ema")."""

    def reconstruct(meta: Any) -> Any: ...

    class EasyDict(dict[str, Any]):
        pass

    def module(class_name: str, tensors: Mapping[str, Tensor], arguments: Mapping[str, Any] | None) -> _Callable:
        own = {name: nn.Parameter(t) for name, t in tensors.items() if "." not in name and t.is_floating_point()}
        buffers = {name: own.pop(name).data for name in list(own) if name.endswith(("noise_const", "w_avg", "filter"))}
        heads = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
        inner = {
            head: module(
                "Inner", {k.partition(".")[2]: t for k, t in tensors.items() if k.startswith(f"{head}.")}, None
            )
            for head in heads
        }
        state: dict[str, Any] = {"_parameters": OrderedDict(own), "_buffers": OrderedDict(buffers), "training": False}
        state["_modules"] = OrderedDict(inner)
        if arguments is not None:
            state |= {"_init_args": (), "_init_kwargs": EasyDict(arguments)}
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": class_name, "state": state}
        return _Callable(reconstruct, EasyDict(meta))

    things = {"_reconstruct_persistent_obj": reconstruct}
    with _modules(torch_utils__persistence=things, dnnlib__util={"EasyDict": EasyDict}):
        whole = {name: module(*about) for name, about in networks.items()}
        path.write_bytes(pickle.dumps({**whole, "augment_pipe": None, **beside}, protocol=4))
    return path


def write_tensorflow(path: Path, networks: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> Path:
    """A TensorFlow pickle of these networks, each by its arguments and variables, "synthesis/4x4/Const/const"."""

    class Network:
        def __getstate__(self) -> dict[str, Any]:
            return dict(self.__dict__)

    def network(arguments: dict[str, Any], variables: dict[str, np.ndarray]) -> Any:
        parts = {name.partition("/")[0] for name in variables} & {"synthesis", "mapping"}
        made = Network()
        below = {
            part: {k.partition("/")[2]: v for k, v in variables.items() if k.startswith(f"{part}/")} for part in parts
        }
        own = [(k, v) for k, v in variables.items() if k.partition("/")[0] not in parts]
        made.version, made.static_kwargs, made.variables = 4, arguments, own  # type: ignore[attr-defined]
        made.build_module_src = SOURCE  # type: ignore[attr-defined]
        made.components = {part: network(arguments, held) for part, held in below.items()}  # type: ignore[attr-defined]
        return made

    with _modules(dnnlib__tflib__network={"Network": Network}):
        path.write_bytes(pickle.dumps(tuple(network(*about) for about in networks), protocol=2))
    return path


def networks_of(seed: int = 0, **values: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a generator and a critic of such a config, none of them at rest."""
    config = parse_network({"family": "stylegan2", **values}, "test")
    found = []
    for module in (build_generator(config, seed), build_discriminator(config, seed)):
        random = torch.Generator().manual_seed(seed + 1)
        state = {k: t + 0.1 * torch.randn(t.shape, generator=random) for k, t in module.state_dict().items()}
        found.append({name: tensor for name, tensor in state.items() if name != "prior"})
    return found[0], found[1]


def zipped(tensors: Any) -> bytes:
    """A file of torch.save."""
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()
