"""What the section of translation says beside its numbers."""

from collections.abc import Callable

import pytest

from analysis.sections import translation
from search.records.results import write_trial
from spaces.trials import parse_trial


def notes(new_study: Callable, method: str) -> list[str]:
    """Of a study of one trial of the method, scored against true pairs."""
    base = {"target": "phosphor", "source": "mdi", "method": method, "protocol": {"metrics": ("pair_error",)}}
    base |= {"budget": {"images": 400, "eval_every_images": 100}}
    study = new_study(base=base)
    row = {"images_seen": 400, "iterations": 10, "train_seconds": 10.0, "wall_seconds": 12.0, "pair_error": 0.1}
    row |= {"content_shift": 0.5, "content_shift_unrelated": 1.5}
    config = parse_trial(base, "test")
    write_trial(study.paths.evaluation(0), config, study="s", trial=0, status="completed", evaluations=[row])
    (block,) = translation.section([study.data]).blocks
    return [note for note in block.notes if "trains on features" in note]


def test_a_method_that_trains_on_what_its_content_is_compared_by_is_called_so(new_study: Callable) -> None:
    (said,) = notes(new_study, "feature_consistency")
    assert said.startswith(
        "feature_consistency trains on features of efficientnet_lite0, and content shift is by maps of"
    )
    assert said.endswith("Pair error does not.")


@pytest.mark.parametrize("method", ["cyclegan", "untranslated"])
def test_of_other_methods_there_is_nothing_to_say(new_study: Callable, method: str) -> None:
    assert notes(new_study, method) == []
