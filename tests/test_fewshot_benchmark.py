import pytest
import torch

from benchmarks.fewshot import accuracy, more_of, paired
from trainables.methods.fewshot.mixture import MIXTURE
from trainables.methods.fewshot.sampling import SHOTS
from trainables.networks.models import Model
from trainables.networks.shots import ShotImages


def test_differences_are_paired_by_seed():
    rows = [
        {"arm": arm, "seed": seed, "accuracy": value}
        for arm, values in {"a": [0.5, 0.7, 0.9], "b": [0.4, 0.5, 0.9]}.items()
        for seed, value in enumerate(values)
    ]
    mean, half, seeds = paired([*rows, {"arm": "a", "seed": 9, "accuracy": 0.0}], "a", "b")
    assert (mean, seeds) == (pytest.approx(0.1), 3)
    assert half == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-4)  # Student's t of two degrees of freedom


def test_a_model_makes_more_of_the_images_that_a_seed_draws_and_not_of_its_own():
    own, drawn = (
        ShotImages.of(torch.full((2, 3, 3, 8, 8), grey, dtype=torch.uint8), torch.tensor([0, 4])) for grey in (9, 200)
    )
    sampler = MIXTURE.sampler(Model({SHOTS: own.network}, {SHOTS: own.state_dict()}))
    images, labels = more_of(sampler, drawn, 5, seed=1)
    assert labels.tolist() == [0] * 5 + [4] * 5
    assert (images == 200).all()


@pytest.mark.slow
def test_images_beside_the_real_ones_are_learnt_from():
    labels = torch.arange(8) % 2
    clear = (labels * 255).to(torch.uint8)[:, None, None, None].expand(8, 3, 32, 32).contiguous()
    misleading = clear, 1 - labels
    found = accuracy((clear, labels), None, (clear, labels), 12, 0, augment=False)
    mislead = accuracy(misleading, misleading, (clear, labels), 12, 0, augment=False)
    assert (found, mislead) == (1.0, 0.0)
