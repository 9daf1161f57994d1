"""The error for what a user or a file can cause, and the one way to look a name up in a registry."""

from collections.abc import Mapping
from typing import TypeVar

from spaces.natural_order import natural

T = TypeVar("T")


class UserError(Exception):
    """The input is bad: the command line prints this message in one line, and exits with 2; a bug keeps its traceback.

    A message says where, what was found, what was expected, and the way out.
    """


def lookup(registry: Mapping[str, T], kind: str, name: str) -> T:
    """Give the entry `name` of a registry; `kind` is what messages call an entry ("metric").

    Raises UserError, with the known names, if there is none.
    """
    if name not in registry:
        raise UserError(f"unknown {kind} {name!r}; known: {', '.join(sorted(registry, key=natural)) or 'none yet'}")
    return registry[name]
