"""What a report contains: its sections, in reading order."""

from collections.abc import Sequence

from analysis.page import Section
from analysis.sections import (
    agreement,
    answer,
    cost,
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

_ORDER = (answer, cost, agreement, matrix, networks, sizes, parameters, spending, translation, samples, protocol)


def contents(studies: Sequence[StudyData]) -> list[Section]:
    """The sections on one study, or on several side by side; each is there in any state of the studies, but that on translation,
    which takes one that translates.
    """
    return [part.section(studies) for part in _ORDER if part is not translation or translation.applies(studies)]
