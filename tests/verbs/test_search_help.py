"""The help of `search` lists what it takes, without importing what knows it: that takes seconds."""

import re

from spaces.suggest import SPACES
from trainables.networks.families import FAMILIES
from verbs.studies import search

TAKEN_BY_THEMSELVES = {"methods_of_few", "unvaried"}
"""Spaces that no user names: of methods with --shots, and of `train`."""


def help_of(parameter: str) -> str:
    option = next(each for each in search.__annotations__[parameter].__metadata__)
    return f"{option.metavar} {option.help}"


def test_every_space_and_every_family_is_named() -> None:
    words = set(re.findall(r"\w+", help_of("space")))
    assert SPACES.keys() - words == TAKEN_BY_THEMSELVES
    assert set(re.findall(r"\w+", help_of("family"))) >= FAMILIES.keys()
