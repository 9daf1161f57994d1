"""What a report contains: its sections, in reading order."""

from collections.abc import Sequence

from analysis.page import Section
from analysis.sections import (
    agreement,
    answer,
    cost,
    fewshot,
    front,
    matrix,
    networks,
    parameters,
    protocol,
    samples,
    sizes,
    spending,
    translation,
)
from analysis.study_data import StudyData

_ORDER = (
    answer,
    cost,
    front,
    agreement,
    matrix,
    networks,
    sizes,
    parameters,
    spending,
    translation,
    fewshot,
    samples,
    protocol,
)
_SOME = (front, translation, fewshot)
"""Sections that are not on every study."""


def contents(studies: Sequence[StudyData]) -> list[Section]:
    """The sections on one study, or on several side by side; each is there in any state of the studies, but those on
    fronts, translation and few-shot generation, which take a study that has such.
    """
    return [part.section(studies) for part in _ORDER if part not in _SOME or part.applies(studies)]
