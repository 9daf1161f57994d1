"""Truncation: fewer failures for less variety, as what a generator is given lies nearer to its mean.

A generator that maps z to w first pulls w to the mean of w (Karras et al. 2019, appendix B), and takes `truncation` for it
beside z and labels. Of any other z itself is pulled to its mean, 0: z * truncation, which is z of a smaller deviation. So
1 is every generator as it was trained, 0 its one mean image, and the same z stays the same picture, less extreme. (BigGAN,
Brock et al. 2019, draws z anew where it lies beyond a bound, which gives a seed another picture for every bound.)
"""

from inspect import signature

from torch import Tensor, nn

from spaces.errors import UserError

MOST = 2.0
"""What truncation can be at most: beyond 1 images are more extreme than any that were trained."""


def check_truncation(truncation: float) -> None:
    """UserError unless it is between 0 and MOST."""
    if not 0 <= truncation <= MOST:
        raise UserError(f"truncation {truncation:g} will not do; give a number from 0 to {MOST:g}, 1 for none")


def pulls_w(generator: nn.Module) -> bool:
    """Whether a generator takes `truncation` itself, as those do that map z to w."""
    return "truncation" in signature(generator.forward).parameters


def truncated(generator: nn.Module, z: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
    """Images, float (N, 3, R, R) in [-1, 1], of z (N, z_dim) and labels (N,), where the generator takes some."""
    rest = () if labels is None else (labels,)
    if pulls_w(generator):
        images: Tensor = generator(z, *rest, truncation=truncation)
    else:
        images = generator(z if truncation == 1 else z * truncation, *rest)
    return images
