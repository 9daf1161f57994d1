"""What trains nothing is told as such, by whichever method: it is no transfer that was trained."""

from analysis.findings.gains import Gain, Side
from analysis.tables import UNTRAINED
from analysis.words import origin, over_scratch, over_the_source


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
