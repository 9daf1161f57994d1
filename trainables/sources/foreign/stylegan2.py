"""StyleGAN2 and StyleGAN2-ADA of NVlabs in PyTorch, and what StyleGAN2's checkpoints of every maker have in common."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import torch
from torch import Tensor

from spaces.networks import parse_network
from trainables.machine.randomness import random_numbers
from trainables.networks.families import GENERATOR, empty_network
from trainables.networks.stylegan2 import fields
from trainables.sources.foreign.contents import Contents, Plain
from trainables.sources.foreign.description import (
    Description,
    floats,
    only,
    prefixes,
    sampled_and_trained,
    without_critic,
)
from trainables.sources.foreign.tensors import Lazy, UnreadableError

AVERAGED = 10_000
"""z whose w are averaged where a file has no mean of w."""
GROUP = 4
"""Images of a minibatch's group where a file does not say; it is no matter of shapes."""

_BASE, _SIDE = "_init_kwargs.", "synthesis.b4.conv1."
_FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
_CONSTANT = ("resample_filter",)
RATE = 0.01
"""Of a mapping network's layers."""
_ARGUMENTS: Mapping[str, Plain] = {
    "mapping_kwargs.lr_multiplier": RATE,
    "mapping_kwargs.activation": "lrelu",
    "img_channels": 3,
}


def stylegan2(contents: Contents) -> Description | None:
    """A pickle of stylegan2-ada-pytorch, or of the StyleGAN3 repository with `--cfg=stylegan2`; None if it is none."""
    generators = list(prefixes(contents, "synthesis.b4.const"))
    if not generators:
        return None
    sampled, trained = sampled_and_trained(generators)
    critics = [
        prefix for prefix in prefixes(contents, "b4.out.weight") if f"{prefix}b4.conv.weight" in contents.tensors
    ]
    critic = only(critics, "critic")
    clamp = contents.value(
        f"{sampled}{_BASE}synthesis_kwargs.conv_clamp", f"{sampled}{_BASE}conv_clamp", f"{sampled}{_SIDE}conv_clamp"
    )
    check_arguments(contents, f"{sampled}{_BASE}", _ARGUMENTS)
    group = maps = None
    if critic is not None:
        group = contents.value(f"{critic}{_BASE}epilogue_kwargs.mbstd_group_size", f"{critic}b4.mbstd.group_size")
        maps = contents.value(f"{critic}{_BASE}epilogue_kwargs.mbstd_num_channels")
    found = described(
        "a StyleGAN2 of NVlabs (PyTorch)",
        floats(_weights(contents, sampled)),
        None if critic is None else floats(_weights(contents, critic)),
        None if trained is None else floats(_weights(contents, trained)),
        {"conv_clamp": clamp, "minibatch_group": group},
        _about(contents),
    )
    _check_said(found, {"resolution": contents.value(f"{sampled}{_BASE}img_resolution", f"{sampled}img_resolution")})
    _check_said(
        found, {"z_dim": contents.value(f"{sampled}{_BASE}z_dim", f"{sampled}z_dim"), "minibatch_channels": maps}
    )
    return found


def described(
    format: str,
    generator: dict[str, Tensor],
    critic: dict[str, Tensor] | None,
    trained: dict[str, Tensor] | None,
    told: Mapping[str, Plain | None],
    about: Mapping[str, object],
) -> Description:
    """A StyleGAN2's networks under our names, with the config that their shapes and `told` give.

    A critic that is no pair to the generator by its channels is left out, and said so.
    """
    config: dict[str, object] = {"family": "stylegan2", **fields(generator)}
    missing: list[str] = []
    if critic is not None:
        of_critic = fields(critic)
        if strange := [
            name
            for name in ("resolution", "width", "channel_max", "classes")
            if of_critic.get(name) != config.get(name)
        ]:
            missing.append(f"its critic is left out: its {strange[0]} is another than the generator's")
            critic = None
        else:
            config |= of_critic
    config |= {name: value for name, value in told.items() if value is not None}
    if critic is not None and told.get("minibatch_group") is None:
        missing.append(f"the file does not say over how many images its critic's spread is; {GROUP} are taken")
    for weights in filter(None, (generator, trained)):
        if "mapping.w_avg" not in weights:
            weights["mapping.w_avg"] = _mean_w(config, weights)
            missing.append(f"its mean of w is not in the file; that of {AVERAGED:,} z is taken")
    missing += without_critic(critic) if not missing or "critic is left out" not in missing[0] else ()
    return Description(format, config, generator, critic, trained, tuple(dict.fromkeys(missing)), about)


def _weights(contents: Contents, prefix: str) -> dict[str, Lazy]:
    """A network's tensors without its constants; UnreadableError if its filter is another than StyleGAN2's."""
    found = contents.below(prefix)
    for name in [name for name in found if name.endswith(_CONSTANT)]:
        constant = floats({name: found.pop(name)})[name]
        if constant.shape != _FILTER.shape or not torch.allclose(constant, _FILTER, atol=1e-6):
            raise UnreadableError(f"its {prefix}{name} is no [1, 3, 3, 1] filter, and no other is built here")
    return {name: tensor for name, tensor in found.items() if re.match(r"(synthesis|mapping|b\d+)\.", name)}


def check_arguments(contents: Contents, prefix: str, known: Mapping[str, Plain]) -> None:
    """UnreadableError if the generator was made with other arguments than the known ones, which networks here have."""
    for argument, expected in known.items():
        found = contents.value(f"{prefix}{argument}")
        if found is not None and found != expected:
            raise UnreadableError(f"it was made with {argument}={found!r:.40}, and networks here have {expected!r}")


def _check_said(found: Description, said: Mapping[str, Plain | None]) -> None:
    for field, value in said.items():
        if value is not None and found.config.get(field, value) != value:
            raise UnreadableError(f"its arguments say {field}={value!r:.40}, its tensors {found.config[field]!r}")


def _about(contents: Contents) -> dict[str, object]:
    """Of the images that it was trained on: their archive's name and number, as the training was called with."""
    path = contents.value("training_set_kwargs.path")
    images = contents.value("training_set_kwargs.max_size")
    return domain_of(path) | ({"images": images} if type(images) is int and images > 0 else {})


def domain_of(path: Plain | None) -> dict[str, object]:
    """{"domain": "ffhq256"} of "/data/ffhq256.zip"."""
    name = PurePath(str(path or "").replace("\\", "/")).name.partition(".")[0]
    return {"domain": name[:100]} if name.isprintable() and name else {}


def _mean_w(config: Mapping[str, object], weights: Mapping[str, Tensor]) -> Tensor:
    """The mean of w over `AVERAGED` z, and over all classes alike."""
    network = parse_network(config, "a StyleGAN2")
    mapping = empty_network(GENERATOR, network).get_submodule("mapping")
    of_mapping = {name.removeprefix("mapping."): t for name, t in weights.items() if name.startswith("mapping.")}
    own = mapping.state_dict()
    if strange := [name for name, t in of_mapping.items() if name not in own or own[name].shape != t.shape]:
        raise UnreadableError(f"its mapping.{strange[0]} is none that the mapping network of such a StyleGAN2 has")
    if lacking := sorted(own.keys() - of_mapping.keys() - {"w_avg"}):
        raise UnreadableError(f"its mapping network has no {lacking[0]}")
    mapping.to_empty(device="cpu").load_state_dict(of_mapping, strict=False)
    z = torch.randn(AVERAGED, network.z_dim, generator=random_numbers("z of a mean w", 0))
    classes = getattr(network, "classes", None)
    labels = torch.arange(AVERAGED) % classes if classes else None
    with torch.no_grad():
        mean: Tensor = mapping(z, labels).mean(0)
    return mean


def unused(names: Sequence[str]) -> None:
    """UnreadableError that names the first tensor which has no place in a StyleGAN2."""
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise UnreadableError(f"its tensor {names[0]!r:.100}{more} has no place in a StyleGAN2 of configuration E or F")
