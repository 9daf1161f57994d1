"""Checkpoints of mimicry: SNGAN and WGAN-GP, `netG` and `netD` in a file each."""

from collections.abc import Mapping

from trainables.networks.mimicry import fields
from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.description import (
    Description,
    floats,
    only,
    prefixes,
    sampled_and_trained,
    without_critic,
)
from trainables.sources.foreign.tensors import UnreadableError

_NORMED: Mapping[str, str] = {
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}
"""A spectral norm's tensors, by what torch's first version of it and mimicry called them."""


def mimicry(contents: Contents) -> Description | None:
    """The generator, and the critic if it is there; None if no network is mimicry's."""
    generators = [
        prefix for prefix in prefixes(contents, "l1.weight") if f"{prefix}block2.c1.weight" in contents.tensors
    ]
    if not generators:
        return None
    sampled, trained = sampled_and_trained(generators)
    found = fields(contents.below(sampled))  # type: ignore[arg-type]
    if found.get("resolution") not in (32, 48, 64, 128):
        raise UnreadableError(
            f"its generator is mimicry's, and of no size that is known here ({found.get('resolution')} pixels)"
        )
    normed = [f"block1.c_sc.{name}" for name in ("weight_orig", _NORMED["weight_orig"], "weight")]
    critic = only((prefix for name in normed for prefix in prefixes(contents, name)), "critic")
    theirs = (
        None
        if critic is None
        else {_our_name(name, found["resolution"]): t for name, t in contents.below(critic).items()}
    )
    if theirs is not None and _NORMED["weight_orig"] in " ".join(theirs):
        found["critic"] = "sngan"
    return Description(
        format="an SNGAN of mimicry" if found.get("critic") == "sngan" else "a GAN of mimicry",
        config={"family": "mimicry", **found},
        generator=floats(contents.below(sampled)),
        discriminator=None if theirs is None else floats(theirs),
        trained=None if trained is None else floats(contents.below(trained)),
        missing=without_critic(critic),
    )


def _our_name(name: str, resolution: object) -> str:
    layer, _, last = name.rpartition(".")
    if (layer, resolution) == ("l5", 48):  # where SNGAN's last layer has the number of 32 pixels', WGAN-GP's has not
        layer = "l6"
    return f"{layer}.{_NORMED.get(last, last)}"
