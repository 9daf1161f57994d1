import torch

from trainables.machine.randomness import random_numbers


def test_equal_purposes_and_seeds_give_equal_numbers() -> None:
    one, other = (torch.rand(5, generator=random_numbers("z", 3, 4)) for _ in range(2))
    assert torch.equal(one, other)


def test_another_purpose_or_seed_gives_other_numbers() -> None:
    streams = [("z", 0), ("weights", 0), ("z", 1), ("z", 0, 0), ("z",)]
    drawn = {tuple(torch.rand(3, generator=random_numbers(*stream)).tolist()) for stream in streams}  # type: ignore[arg-type]
    assert len(drawn) == len(streams)
