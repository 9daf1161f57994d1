"""Which format a checkpoint is of, by the names of its tensors alone."""

from collections.abc import Callable, Mapping

from trainables.sources.foreign.contents import Contents
from trainables.sources.foreign.dcgan import dcgan
from trainables.sources.foreign.description import Description
from trainables.sources.foreign.mimicry import mimicry
from trainables.sources.foreign.refused import refusal
from trainables.sources.foreign.rosinality import rosinality
from trainables.sources.foreign.stylegan2 import stylegan2
from trainables.sources.foreign.tensorflow import tensorflow
from trainables.sources.foreign.tensors import UnreadableError
from trainables.sources.shelf import SourceError


def recognised(contents: Contents, where: str) -> Description | None:
    """The checkpoint described, None if it is of no format that is known by its tensors' names.

    Raises SourceError in a line that starts with `where` for one that is known and not read, or not whole.
    """
    try:
        for read in FORMATS.values():
            if found := read(contents):
                return found
    except UnreadableError as error:
        raise SourceError(f"{where}: {error}") from None
    if reason := refusal(contents):
        raise SourceError(f"{where}: {reason}")
    return None


FORMATS: Mapping[str, Callable[[Contents], Description | None]] = {
    "StyleGAN2 of NVlabs, PyTorch": stylegan2,
    "StyleGAN2 of NVlabs, TensorFlow": tensorflow,
    "StyleGAN2 of rosinality": rosinality,
    "mimicry": mimicry,
    "dcgan": dcgan,
}
"""By name, what reads a format; None of what it does not know."""
