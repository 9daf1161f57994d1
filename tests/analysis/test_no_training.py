"""What trains nothing is told as such, by whichever method: it is no transfer that was trained."""

import pandas as pd

from analysis.findings.gains import Gain, Side
from analysis.tables import HANDED_ON, UNTRAINED, WAY, ranking
from analysis.words import origin, over_scratch, over_the_source
from spaces.protocol import METRICS


def gain(ours: Side, theirs: Side) -> Gain:
    return Gain("images_seen", 900.0, ours, theirs, theirs.mean - ours.mean, None, None, 1)


TRANSLATED, AS_IS = Side("dogs", "untranslated", (0,), (300.0,)), Side("dogs", "as is", (1,), (200.0,))
TUNED, SCRATCH = Side("dogs", "both", (2,), (400.0,)), Side("scratch", "none", (3,), (900.0,))


def test_every_baseline_is_untrained() -> None:
    assert {"as is", "untranslated", "mixture", "augmented"} == UNTRAINED
    assert TRANSLATED.is_untrained and not TUNED.is_untrained


def test_what_won_untrained_is_named_and_not_called_transfer() -> None:
    assert origin(TRANSLATED) == "dogs untranslated"
    assert over_scratch(gain(TRANSLATED, SCRATCH)).startswith("dogs untranslated, untrained, is better by 600")
    assert over_scratch(gain(AS_IS, SCRATCH)).startswith("the source as it is, untrained, is better by 700")
    assert over_scratch(gain(TUNED, SCRATCH)).startswith("transfer is better by 500")


def test_training_is_held_against_the_baseline_by_its_name() -> None:
    assert over_the_source(gain(TUNED, TRANSLATED)).startswith("fine-tuning is worse than dogs untranslated by 100")
    assert over_the_source(gain(TUNED, AS_IS)).startswith("fine-tuning is worse than the source as it is by 200")


def test_what_makes_no_images_comes_behind_all_that_do_whatever_its_score() -> None:
    ways = ["both", "untranslated", "as is", "cyclegan", "untranslated"]
    scores = {"trial": range(5), WAY: ways, "fd": [300.0, 20.0, 200.0, 900.0, 10.0], "status": "completed"}
    assert ranking(pd.DataFrame(scores), METRICS["fd"])["trial"].tolist() == [2, 0, 3, 4, 1]
    assert {"untranslated"} == HANDED_ON
