"""What the section of few-shot generation says of methods beside their baselines."""

from collections.abc import Callable
from typing import Any

from analysis.contents import contents
from analysis.page import Block
from analysis.sections import fewshot, parameters
from analysis.tables import arms
from search.records.results import load, write_trial
from spaces.suggest import UNTRAINED
from spaces.trials import parse_trial

BASE = {"target": "unseen", "source": "seen", "data": {"shots": 3}, "budget": {"images": 400, "eval_every_images": 100}}
BASE |= {"protocol": {"metrics": ("kd", "class_accuracy", "mkd", "feature_diversity")}}
REAL = {"class_accuracy_floor": 0.98, "class_chance": 0.1, "feature_diversity_floor": 0.4, "diversity_classes": 10}


def of_trials(new_study: Callable, **scores: tuple[float, float]) -> Any:
    """A study of a trial of each method, with this kernel distance and class accuracy."""
    study = new_study(base=BASE | {"method": "dagan"})
    for trial, (method, (kd, accuracy)) in enumerate(scores.items()):
        trained = method not in UNTRAINED
        row = {
            "images_seen": 400 * trained,
            "iterations": 10 * trained,
            "train_seconds": 10.0,
            "wall_seconds": 12.0,
            **REAL,
        }
        row |= {"kd": kd, "class_accuracy": accuracy, "mkd": 3 * kd, "feature_diversity": 0.25}
        config = parse_trial(BASE | {"method": method, "source": "seen" if trained else "scratch"}, "test")
        write_trial(
            study.paths.evaluation(trial), config, study="s", trial=trial, status="completed", evaluations=[row]
        )
    return study


def block(new_study: Callable, **scores: tuple[float, float]) -> Block:
    """The section's, of such a study, all of whose other sections can be made too."""
    study = of_trials(new_study, **scores)
    (found,) = fewshot.section([study.data]).blocks
    assert "few-shot" in [section.anchor for section in contents([study.data])]
    return found


def test_a_method_that_beats_copies_by_likeness_may_lose_to_them_by_class(new_study: Callable) -> None:
    found = block(new_study, dagan=(1.5, 0.7), mixture=(4.0, 0.9), augmented=(2.0, 0.95))
    kd = "By KD (efficientnet_lite0) the best few-shot method, trial 0 (dagan, 1.5), beats the best baseline (augmented, 2)"
    by_class = "By class accuracy the best few-shot method, trial 0 (dagan, 0.7), does not beat the best baseline"
    assert found.lead.startswith(f"{kd}. {by_class} (augmented, 0.95). ")
    assert any("right about 0.98 of real ones, and guessing about 0.1." in note for note in found.notes)
    assert any("(10 classes), and that of real images is 0.4:" in note for note in found.notes)
    (sheet,) = found.sheets
    assert {"class accuracy of real images", "feature diversity", "mean KD of classes (efficientnet_lite0)"} <= set(
        sheet.columns
    )
    assert len(sheet.rows) == 3 and len(found.plots) == 1


def test_without_a_baseline_there_is_nothing_to_compare(new_study: Callable) -> None:
    assert block(new_study, dagan=(1.5, 0.7)).lead.startswith("There is nothing to compare")


def test_a_study_of_other_methods_has_no_such_section(new_study: Callable) -> None:
    study = new_study()
    assert not fewshot.applies([study.data])


def test_baselines_that_learn_nothing_are_not_scratch(new_study: Callable) -> None:
    study = of_trials(new_study, dagan=(1.5, 0.7), mixture=(0.5, 0.9))
    assert set(study.data.rows["source"]) == {"seen", "no source"}
    best = study.data.answer.best
    assert best is not None and (best.source, best.way) == ("no source", "mixture")
    assert study.data.answer.scratch is None and study.data.gains == []


def test_a_baselines_config_is_read_back_as_it_was(new_study: Callable) -> None:
    study = of_trials(new_study, dagan=(1.5, 0.7), mixture=(0.5, 0.9))
    assert (study.data.config(1).method, study.data.config(1).source) == ("mixture", "scratch")
    told = arms(load(study.paths.evaluations))
    assert [(arm["method"], arm["source"]) for arm in told] == [("dagan", "seen"), ("mixture", "scratch")]
    assert contents([study.data])


def test_who_would_vary_more_is_sent_to_the_space_of_such_methods(new_study: Callable) -> None:
    study = of_trials(new_study, dagan=(1.5, 0.7), mixture=(0.5, 0.9))
    (block,) = parameters.section([study.data]).blocks
    assert "--space fewshot" in block.lead
