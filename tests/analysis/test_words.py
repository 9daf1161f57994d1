import pytest

from analysis.findings.gains import Gain, Side
from analysis.tables import AS_IS
from analysis.words import origin, over_scratch, over_the_source, used


@pytest.mark.parametrize(
    ("source", "way", "said"),
    [
        ("scratch", "none", "from scratch"),
        ("mdi", "both", "from mdi, both networks"),
        ("mdi", "generator", "from mdi, generator only"),
        ("mdi", AS_IS, "mdi as it is"),
        ("mdi", "some method", "from mdi, some method"),
    ],
)
def test_an_origin_says_the_source_and_how_it_was_used(source, way, said):
    assert origin(Side(source, way, (0,), (1.0,))) == said


def test_the_way_of_a_method_without_words_of_its_own_is_its_name():
    assert used("some method") == "some method"


def gain(value, way="both", baseline=AS_IS):
    return Gain(
        "images_seen",
        400.0,
        Side("mdi", way, (0,), (50.0,)),
        Side("dogs", baseline, (1,), (100.0,)),
        value,
        None,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (50.0, "fine-tuning improves on the source as it is by 50 (50 % of its score): "),
        (-50.0, "fine-tuning is worse than the source as it is by 50 (50 % of its score): "),
        (0.0, "fine-tuning and the source as it is are equal: "),
    ],
)
def test_training_is_told_better_worse_or_equal_to_the_source_as_it_is(value, said):
    whole = over_the_source(gain(value))
    assert whole.startswith(said)
    assert whole.endswith("from mdi, both networks (1 seed) has 50 after 400 images, dogs as it is 100")


def test_another_method_is_told_by_its_name():
    assert over_the_source(gain(50.0, way="some method")).startswith("some method improves on the source as it is")


@pytest.mark.parametrize(("way", "subject"), [("both", "transfer"), (AS_IS, "the source as it is, untrained,")])
def test_what_was_not_trained_is_not_called_transfer(way, subject):
    assert over_scratch(gain(50.0, way=way, baseline="none")) == f"{subject} is better by 50 (50 % of scratch's)"
