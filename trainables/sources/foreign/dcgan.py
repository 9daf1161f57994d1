"""DCGANs as PyTorch's tutorial has them: `main.0.weight` ..., whatever layers without weights stand between."""

import re
from collections.abc import Mapping

from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.description import Description, floats, only, sampled_and_trained, without_critic
from trainables.sources.foreign.tensors import Lazy, UnreadableError

_LAYER = re.compile(r"main\.(\d+)\.(\w+)")
_KERNEL = (4, 4)


def dcgan(contents: Contents) -> Description | None:
    """The generator, and the critic if it is there; None if no network is a DCGAN's."""
    found = {
        name.removesuffix("main.0.weight") for name in contents.tensors if re.search(r"(^|\.)main\.0\.weight$", name)
    }
    shapes = {prefix: _convolutions(contents.below(prefix)) for prefix in found}
    whole = {
        prefix: convs
        for prefix, convs in sorted(shapes.items())
        if len(convs) > 2 and all(c[2:] == _KERNEL for c in convs)
    }
    generators = [prefix for prefix, convs in whole.items() if convs[-1][0] != 1 and convs[0][1] == convs[1][0]]
    critics = [prefix for prefix, convs in whole.items() if prefix not in generators and convs[-1][0] == 1]
    if not generators:
        return None
    sampled, trained = sampled_and_trained(generators)
    channels = whole[sampled][-1][1]
    if channels != 3:
        raise UnreadableError(f"its DCGAN makes images of {channels} channels, and those here have 3")
    critic = only(critics, "critic")
    return Description(
        format="a DCGAN of PyTorch's tutorial",
        config={
            "family": "dcgan",
            "z_dim": whole[sampled][0][0],
            "width": whole[sampled][-1][0],
            "resolution": _KERNEL[0] * 2 ** (len(whole[sampled]) - 1),
        },
        generator=floats(_renumbered(contents.below(sampled), transposed=True)),
        discriminator=None if critic is None else floats(_renumbered(contents.below(critic), transposed=False)),
        trained=None if trained is None else floats(_renumbered(contents.below(trained), transposed=True)),
        missing=without_critic(critic),
    )


def _convolutions(tensors: Mapping[str, Lazy]) -> list[tuple[int, ...]]:
    """Shapes of the convolutions' weights, in the order of their layers."""
    found = {
        int(match[1]): tuple(t.shape)
        for name, t in tensors.items()
        if t.ndim == 4 and (match := _LAYER.fullmatch(name))
    }
    return [found[place] for place in sorted(found)]


def _renumbered(tensors: Mapping[str, Lazy], *, transposed: bool) -> dict[str, Lazy]:
    """The tensors by the tutorial's numbers: a dropout between layers moves those behind it by one.

    A layer with a norm is three of them; a critic's first has none. What is no layer's keeps its name, and fits nowhere.
    """
    layers = sorted({int(match[1]) for name in tensors if (match := _LAYER.fullmatch(name))})
    numbers, place = {}, 0
    for layer in layers:
        is_convolution = tensors[f"main.{layer}.weight"].ndim == 4 if f"main.{layer}.weight" in tensors else False
        numbers[layer] = place
        place += (1 if transposed or place else 2) if is_convolution else 2
    return {
        f"main.{numbers[int(match[1])]}.{match[2]}" if (match := _LAYER.fullmatch(name)) else name: tensor
        for name, tensor in tensors.items()
    }
