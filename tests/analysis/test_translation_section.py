"""What the section of translation says beside its numbers."""

from collections.abc import Callable

import pytest

from analysis.sections import translation
from search.records.results import write_trial
from spaces.protocol import Protocol
from spaces.trials import parse_trial

BY_LITE0 = Protocol(metrics=("fd", "content_shift"))
BY_INCEPTION = Protocol(metrics=("fid", "content_shift"), extractor="inception", input_size=299)


def notes(new_study: Callable, method: str, protocol: Protocol = BY_LITE0) -> list[str]:
    """Of a study of one trial of the method, scored by that protocol."""
    base = {"target": "phosphor", "source": "mdi", "budget": {"images": 400, "eval_every_images": 100}}
    config = parse_trial({**base, "method": method, "protocol": protocol}, "test")
    study = new_study(base={**base, "method": method, "protocol": protocol.model_dump()})
    row = {"images_seen": 400, "iterations": 10, "train_seconds": 10.0, "wall_seconds": 12.0, "fd": 60.0, "fid": 60.0}
    row |= {"content_shift": 0.5, "content_shift_unrelated": 1.5, "extractor": protocol.extractor}
    write_trial(study.paths.evaluation(0), config, study="s", trial=0, status="completed", evaluations=[row])
    (block,) = translation.section([study.data]).blocks
    return [note for note in block.notes if "trains on features" in note]


def test_a_method_that_trains_on_what_it_is_ranked_by_is_called_so(new_study: Callable) -> None:
    (said,) = notes(new_study, "feature_consistency")
    assert said.startswith("feature_consistency trains on features of efficientnet_lite0. Content shift is by maps of")
    assert ", and so is FD" in said and said.endswith("by another extractor, do not.")


def test_ranked_by_another_extractor_its_content_shift_alone_is_in_question(new_study: Callable) -> None:
    (said,) = notes(new_study, "feature_consistency", BY_INCEPTION)
    assert "Content shift is by maps of the same network: what" in said


@pytest.mark.parametrize("method", ["cyclegan", "untranslated"])
def test_of_other_methods_there_is_nothing_to_say(new_study: Callable, method: str) -> None:
    assert notes(new_study, method) == []
