"""The study of translation at equal seconds: what its arms have in common."""

import pytest

from benchmarks.methods.translation_study import ARMS, QUESTIONS, UNTRAINED, comparison, config_of
from spaces.trials import takes_domains


@pytest.mark.parametrize("table", QUESTIONS)
def test_all_arms_are_measured_alike_on_the_same_images(table: str) -> None:
    asked = QUESTIONS[table]
    configs = {arm: config_of(table, arm, 1, 640) for arm in ARMS}
    assert len({(c.target, c.data, c.budget, c.protocol, c.seed) for c in configs.values()}) == 1
    sources = {arm: asked.domain if takes_domains(config.method) else asked.model for arm, config in configs.items()}
    assert {arm: config.source for arm, config in configs.items()} == {**sources, "scratch": "scratch"}


def test_by_another_extractor_only_the_scores_are_others_and_stand_elsewhere() -> None:
    for arm in ARMS:
        plain, other = (comparison("icons", *by).config_of(arm, 0, 64) for by in ((), ("random_convnet",)))
        assert other == plain.model_copy(update={"protocol": other.protocol}), arm
        assert other.protocol == plain.protocol.model_copy(update={"extractor": "random_convnet"}), arm
    plain, other = comparison("icons"), comparison("icons", "random_convnet")
    assert (plain.results.name, plain.study) == ("translation-study.csv", "translation-icons")
    assert (other.results.name, other.study) == (
        "translation-study-random_convnet.csv",
        "translation-icons-random_convnet",
    )
    assert other.columns == plain.columns


def test_every_arm_is_trained_with_two_seeds_and_what_trains_nothing_with_one() -> None:
    runs = [*comparison("icons").plan()]
    assert len(runs) == len(set(runs))
    assert {arm: sum(each == arm for each, _ in runs) for arm in ARMS} == {
        arm: 1 if arm in UNTRAINED else 2 for arm in ARMS
    }
