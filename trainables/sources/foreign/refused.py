"""Checkpoints that are recognised and not read: what each is, in a line, and what its owner can do."""

import re
from collections.abc import Mapping, Sequence

from trainables.sources.foreign.contents import Contents

INSTEAD = "draw images with its own code, `understock domains add` them, and `understock sources train` on that domain"

_SIGNATURES: Mapping[str, Sequence[str]] = {
    "a StyleGAN3-T or -R, whose layers are other ones than StyleGAN2's (a file of --cfg=stylegan2 is read)": (
        r"synthesis\.input\.freqs",
        r"synthesis\.L\d+_\d+_\d+\.weight",
    ),
    "a StyleGAN of 2019, or configs A to D of StyleGAN2, whose layers are other ones than StyleGAN2's": (
        r"(.*\.)?ToRGB_lod0/weight",
        r"(.*\.)?4x4/Const/StyleMod/.*",
        r"progression\.0\.conv1\..*",
        r"g_synthesis\.blocks\.4x4\..*",
    ),
    "of lucidrains' stylegan2-pytorch, whose networks have other layers than StyleGAN2 under its name": (
        r"GE\.blocks\.0\..*",
        r"G\.blocks\.0\.to_style1\.weight",
    ),
    "of lucidrains' lightweight-gan": (r"GE?\.initial_conv\.0\.weight",),
    "a BigGAN": (r"blocks\.0\.0\.bn1\.gain\.(weight|weight_orig|u0)",),
    "of StudioGAN, whose networks' widths and attention stand in a YAML beside it": (
        r"linear0\.(weight|weight_orig)",
        r"blocks\.0\.0\.conv2d1\..*",
    ),
    "an R3GAN": (r"(Model\.)?MainLayers\.\d+\.Layers\..*",),
    "a ProjectedGAN with FastGAN's generator": (r"synthesis\.init\.init\.0\..*",),
    "a FastGAN": (r"init\.init\.0\.(weight|weight_orig)",),
    "a progressive GAN of pytorch_GAN_zoo": (r"scaleLayers\.0\.0\..*",),
    "a diffusion model, which is no GAN": (r"time_embed(ding)?\..*weight", r"model\.diffusion_model\..*"),
}
"""By what it is, the names of tensors that tell it, as they stand in their network."""


def refusal(contents: Contents) -> str | None:
    """ "it is a BigGAN; it can't be ...", of a checkpoint that is known and not read; None of any other."""
    for what, signatures in _SIGNATURES.items():
        for signature in signatures:
            known = re.compile(rf"(?:.*\.)?{signature}")
            if any(known.fullmatch(name) for name in contents.tensors):
                return f"it is {what}; it can't be a source here: {INSTEAD}"
    return None
