import pytest

from spaces.counts import plural


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (1_200_000, "1,200,000 trials")]
)
def test_a_count_has_its_noun(n: int, said: str) -> None:
    assert plural(n, "trial") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [plural(n, "study", "studies") for n in (1, 2)] == ["1 study", "2 studies"]


@pytest.mark.parametrize(
    ("n", "said"), [(0.0, "0 GPUs"), (1.0, "1 GPU"), (0.5, "0.5 GPUs"), (0.1 + 0.2, "0.3 GPUs"), (16.0, "16 GPUs")]
)
def test_what_is_held_in_part_is_counted_too(n: float, said: str) -> None:
    assert plural(n, "GPU") == said
