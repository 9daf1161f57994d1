"""Checkpoints of rosinality/stylegan2-pytorch: StyleGAN2 under other names."""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.description import Description, floats, only, prefixes, sampled_and_trained
from trainables.sources.foreign.stylegan2 import described, domain_of, unused
from trainables.sources.foreign.tensors import Lazy

_RGB: Mapping[str, str] = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "bias": "bias",
}
"""What makes a share of the image of a layer's maps."""
_STYLED: Mapping[str, str] = {
    **{name: ours for name, ours in _RGB.items() if name != "bias"},
    "activate.bias": "bias",
    "noise.weight": "noise_strength",
}
"""A generator's convolution."""
_CRITIC: Mapping[str, str] = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.1.weight": "skip.weight",
}
"""A block's."""
_LAST: Mapping[str, str] = {
    "final_conv.0.weight": "b4.conv.weight",
    "final_conv.1.bias": "b4.conv.bias",
    "final_linear.0.weight": "b4.fc.weight",
    "final_linear.0.bias": "b4.fc.bias",
    "final_linear.1.weight": "b4.out.weight",
    "final_linear.1.bias": "b4.out.bias",
}
_SQUEEZED = {"weight": 5, "const": 4, "bias": 4, "noise_const": 4}
"""Tensors with a first dimension of 1 that ours lack, where they have so many."""


def rosinality(contents: Contents) -> Description | None:
    """The networks of such a checkpoint; None if it is none."""
    anchor = "conv1.conv.modulation.weight"
    generators = [prefix for prefix in prefixes(contents, anchor) if f"{prefix}input.input" in contents.tensors]
    if not generators:
        return None
    sampled, trained = sampled_and_trained(generators)
    critic = only(prefixes(contents, "final_conv.0.weight"), "critic")
    average = contents.tensors.get("latent_avg")
    found = [None if prefix is None else _ours(contents.below(prefix), prefix) for prefix in (sampled, trained)]
    if average is not None:
        for weights in filter(None, found):
            weights["mapping.w_avg"] = floats({"w_avg": average})["w_avg"].flatten()
    assert found[0] is not None, f"{sampled=}"
    theirs = None if critic is None else _ours(contents.below(critic), critic)
    about = domain_of(contents.value("args.path"))
    return described("a StyleGAN2 of rosinality", found[0], theirs, found[1], {}, about)


def _ours(tensors: Mapping[str, Lazy], prefix: str) -> dict[str, Tensor]:
    """A network's tensors, all of them, by our names."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".kernel")}
    names = {name: our_name(name, _resolution(kept)) for name in kept}
    unused([prefix + name for name, ours in names.items() if ours is None])
    copies = floats(kept)
    return {ours: _as_ours(ours, copies[name]) for name, ours in names.items() if ours is not None}


def _resolution(tensors: Mapping[str, Lazy]) -> int:
    """Of a critic, by its blocks; means nothing for a generator."""
    return 4 << max((int(match[1]) for name in tensors if (match := re.match(r"convs\.(\d+)\.", name))), default=0)


def our_name(name: str, resolution: int) -> str | None:
    """What a tensor of theirs is called here, None if it is none of StyleGAN2's; a critic's is of images of so many pixels."""
    if name in _LAST:
        return _LAST[name]
    return next(_named(name, resolution), None)


def _named(name: str, resolution: int) -> Iterator[str]:
    if match := re.fullmatch(r"style\.(\d+)\.(weight|bias)", name):
        yield f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    elif name == "input.input":
        yield "synthesis.b4.const"
    elif match := re.fullmatch(r"noises\.noise_(\d+)", name):
        yield f"synthesis.{_layer(int(match[1]) - 1)}.noise_const"
    elif match := re.fullmatch(r"(conv1|to_rgb1|convs\.(\d+)|to_rgbs\.(\d+))\.(.*)", name):
        whole, convolution, rgb, rest = match.groups()
        if convolution == "0" and rest in ("0.weight", "1.bias"):
            yield f"b{resolution}.fromrgb.{rest.partition('.')[2]}"
        elif convolution not in (None, "0") and rest in _CRITIC:
            yield f"b{resolution >> (int(convolution) - 1)}.{_CRITIC[rest]}"
        elif whole.startswith("to_rgb") and rest in _RGB:
            yield f"synthesis.b{4 if rgb is None else 8 << int(rgb)}.torgb.{_RGB[rest]}"
        elif not whole.startswith("to_rgb") and rest in _STYLED:
            yield f"synthesis.{_layer(int(convolution) if convolution else -1)}.{_STYLED[rest]}"


def _layer(number: int) -> str:
    """The convolution of that number behind the first one, which is number -1."""
    return "b4.conv1" if number < 0 else f"b{8 << (number // 2)}.conv{number % 2}"


def _as_ours(name: str, tensor: Tensor) -> Tensor:
    leaf = name.rpartition(".")[2]
    if leaf == "noise_strength":
        return tensor.reshape(())
    if tensor.ndim != _SQUEEZED.get(leaf):
        return tensor
    return tensor.flatten() if leaf == "bias" else tensor[0, 0] if leaf == "noise_const" else tensor[0]
