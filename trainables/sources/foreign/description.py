"""What a checkpoint was recognised as: a format, a family with its config, and networks under our names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from trainables.networks.families import DISCRIMINATOR, GENERATOR, IN_TRAINING
from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.tensors import Lazy, UnreadableError, copied

_OF_AN_AVERAGE = re.compile(r"ema|avg|average|shadow")


@dataclass(frozen=True)
class Description:
    """A checkpoint in words of this house."""

    format: str
    """ "a StyleGAN2-ADA pickle"."""
    config: Mapping[str, object]
    """Family and fields of the networks' config: those that the file tells, by constructor arguments or by shapes."""
    generator: Mapping[str, Tensor]
    """What is sampled: the moving average, where there is one."""
    discriminator: Mapping[str, Tensor] | None = None
    trained: Mapping[str, Tensor] | None = None
    """The generator as its training left it, beside its moving average."""
    missing: tuple[str, ...] = ()
    """What was not in the file, or was left there, a line each."""
    about: Mapping[str, object] = field(default_factory=dict)
    """What the file says of the images that it was trained on: "domain", "images"."""

    @property
    def weights(self) -> dict[str, dict[str, Tensor]]:
        """By network: what goes onto the shelf."""
        others = {DISCRIMINATOR: self.discriminator, IN_TRAINING: self.trained}
        return {
            GENERATOR: dict(self.generator),
            **{name: dict(each) for name, each in others.items() if each is not None},
        }


def prefixes(contents: Contents, anchor: str) -> Iterator[str]:
    """What stands before `anchor`, a tensor's name in a kind of network, wherever it is in the file: "", "G_ema."."""
    for name in contents.tensors:
        if name == anchor or name.endswith(f".{anchor}"):
            yield name.removesuffix(anchor)


def sampled_and_trained(found: Iterable[str]) -> tuple[str, str | None]:
    """Of the prefixes of generators those of the moving average and of the one in training; of one alone, it is sampled.

    UnreadableError if there are more than one of a kind.
    """
    every = list(found)
    averages = [prefix for prefix in every if _OF_AN_AVERAGE.search(prefix.lower())]
    others = [prefix for prefix in every if prefix not in averages]
    if len(averages) > 1 or len(others) > 1:
        raise _too_many(every, "generator")
    if averages:
        return averages[0], next(iter(others), None)
    return others[0], None


def only(found: Iterable[str], what: str) -> str | None:
    """The one prefix, None if there is none; UnreadableError if there are more."""
    every = list(found)
    if len(every) > 1:
        raise _too_many(every, what)
    return next(iter(every), None)


def _too_many(prefixes: list[str], what: str) -> UnreadableError:
    return UnreadableError(
        f"it has {len(prefixes)} {what}s, {', '.join(map(repr, prefixes))[:200]}; give a --key-map that keeps one"
    )


def floats(tensors: Mapping[str, Lazy]) -> dict[str, Tensor]:
    """Copies in memory, float32 but for whole numbers."""
    whole = {name: copied(tensor) for name, tensor in tensors.items()}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in whole.items()}


def without_critic(discriminator: object) -> tuple[str, ...]:
    """A line where there is none."""
    return () if discriminator is not None else ("it has no critic: the generator alone can be transferred",)
