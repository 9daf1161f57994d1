"""Errors that a user or a file can cause, and the one way to look a name up."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """Bad input. The command line prints its message as one line and exits with code 2; a bug keeps its traceback.

    A message says where, what was found, what was expected, and the way out.
    """


def lookup(registry: Mapping[str, T], kind: str, name: str) -> T:
    """The entry `name` of a registry; UserError with the known names otherwise."""
    if name not in registry:
        raise UserError(f"unknown {kind} {name!r}; known: {', '.join(sorted(registry)) or 'none yet'}")
    return registry[name]
