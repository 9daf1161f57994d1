"""TensorFlow pickles of StyleGAN2, StyleGAN2-ADA and DiffAugment: (generator, critic, average of the generator)."""

import math
import re
from collections.abc import Mapping

from torch import Tensor

from trainables.sources.foreign.contents import Contents, Plain
from trainables.sources.foreign.description import Description, floats
from trainables.sources.foreign.stylegan2 import RATE, check_arguments, described, unused
from trainables.sources.foreign.tensors import UnreadableError

OLDEST = 4
"""The version of a network's pickle with which StyleGAN2 began."""
WHOLE_BATCH = 1024
_ARGUMENTS: Mapping[str, Plain] = {"mapping_lrmul": RATE, "num_channels": 3, "mapping_nonlinearity": "lrelu"}
_ANCHOR = "synthesis.4x4/Const/const"
_LEAVES: Mapping[str, str] = {
    "weight": "weight",
    "bias": "bias",
    "mod_weight": "affine.weight",
    "mod_bias": "affine.bias",
    "noise_strength": "noise_strength",
}
_LAYERS: Mapping[str, str] = {
    "Conv0_up": "conv0",
    "Conv0": "conv0",
    "Conv1": "conv1",
    "Conv1_down": "conv1",
    "ToRGB": "torgb",
    "FromRGB": "fromrgb",
    "Skip": "skip",
}


def tensorflow(contents: Contents) -> Description | None:
    """The networks of such a pickle; None if it is none."""
    places = [name.removesuffix(_ANCHOR) for name in contents.tensors if name.endswith(_ANCHOR)]
    modulated = [prefix for prefix in places if f"{prefix}synthesis.4x4/Conv/mod_weight" in contents.tensors]
    if not modulated:
        return None
    sampled = "2." if "2." in modulated else modulated[0]
    trained = "0." if sampled == "2." and "0." in modulated else None
    critic = "1." if "1.4x4/Dense0/weight" in contents.tensors else None
    version = contents.value(f"{sampled}version")
    if type(version) is int and version < OLDEST:
        raise UnreadableError(f"its networks are of version {version}, and StyleGAN2's begin with {OLDEST}")
    check_arguments(contents, f"{sampled}static_kwargs.", _ARGUMENTS)
    clamp = contents.value(f"{sampled}synthesis.static_kwargs.conv_clamp", f"{sampled}static_kwargs.conv_clamp")
    told: dict[str, Plain | None] = {"conv_clamp": clamp}
    if critic is not None:
        said = contents.value(f"{critic}static_kwargs.mbstd_group_size")
        told["minibatch_group"] = WHOLE_BATCH if said is None else said
    return described(
        "a StyleGAN2 of NVlabs (TensorFlow)",
        _generator(contents, sampled),
        None if critic is None else _critic(contents, critic),
        None if trained is None else _generator(contents, trained),
        told,
        {},
    )


def _generator(contents: Contents, prefix: str) -> dict[str, Tensor]:
    return _ours(floats(contents.below(prefix)), prefix, of_generator=True)


def _critic(contents: Contents, prefix: str) -> dict[str, Tensor]:
    return _ours(floats(contents.below(prefix)), prefix, of_generator=False)


def _ours(tensors: Mapping[str, Tensor], prefix: str, *, of_generator: bool) -> dict[str, Tensor]:
    """A network's tensors, all of them, by our names and in our order of dimensions."""
    ours: dict[str, Tensor] = {}
    strange = []
    for theirs, tensor in tensors.items():
        name = (
            theirs.removeprefix("synthesis.").removeprefix("mapping.").replace("mapping/", "").replace("synthesis/", "")
        )
        if name == "lod":
            continue
        found = _special(name, tensor) or _layer(name, tensor, flips=of_generator) or _dense(name, tensor)
        if found is None:
            strange.append(prefix + theirs)
            continue
        place = "synthesis." if of_generator and not found[0].startswith("mapping.") else ""
        ours[place + found[0]] = found[1].contiguous()
    unused(strange)
    return ours


def _special(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    """The constant, the mean of w, and the noise."""
    if name == "dlatent_avg":
        return "mapping.w_avg", tensor
    if name == "4x4/Const/const":
        return "b4.const", tensor[0]
    if match := re.fullmatch(r"noise(\d+)", name):
        number = int(match[1])
        layer = "b4.conv1" if number == 0 else f"b{8 << ((number - 1) // 2)}.conv{(number - 1) % 2}"
        return f"{layer}.noise_const", tensor[0, 0]
    return None


def _layer(name: str, tensor: Tensor, *, flips: bool) -> tuple[str, Tensor] | None:
    """A layer of a block: "64x64/Conv0_up/mod_weight"."""
    match = re.fullmatch(r"(\d+)x\1/(\w+)/(\w+)", name)
    if match is None or match[3] not in _LEAVES:
        return None
    side, layer, leaf = int(match[1]), match[2], match[3]
    if side < 4 or math.log2(side) % 1:
        return None
    if side == 4 and layer in ("Conv", "Dense0"):
        ours = ("conv1" if flips else "conv") if layer == "Conv" else "fc"
    elif layer in _LAYERS:
        ours = _LAYERS[layer]
    else:
        return None
    if leaf == "weight" and tensor.ndim == 4:
        turned = flips and layer in ("Conv0_up", "Skip")
        tensor = (tensor.flip(0, 1) if turned else tensor).permute(3, 2, 0, 1)
    elif leaf in ("weight", "mod_weight"):
        tensor = tensor.T
    elif leaf == "mod_bias":
        tensor = tensor + 1
    return f"b{side}.{ours}.{_LEAVES[leaf]}", tensor


def _dense(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    """A layer of a mapping network, or the critic's last."""
    match = re.fullmatch(r"(Dense|Mapping|LabelEmbed|Output)(\d*)/(weight|bias)", name)
    if match is None:
        return None
    layers = {"Output": "b4.out", "LabelEmbed": "mapping.embed"}
    layer = layers.get(match[1]) or f"mapping.fc{match[2]}"
    return f"{layer}.{match[3]}", tensor.T if match[3] == "weight" else tensor
