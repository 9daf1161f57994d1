import pytest
import torch

from trainables.methods.fewshot.mixture import MIXTURE
from trainables.methods.fewshot.sampling import SHOTS
from trainables.networks.models import Model
from trainables.networks.shots import ShotImages
from trainables.using.small_classifier import Sets, accuracy, more_of


def test_a_model_makes_more_of_the_images_that_a_seed_draws_and_not_of_its_own() -> None:
    own, drawn = (
        ShotImages.of(torch.full((2, 3, 3, 8, 8), grey, dtype=torch.uint8), torch.tensor([0, 4])) for grey in (9, 200)
    )
    sampler = MIXTURE.sampler(Model({SHOTS: own.network}, {SHOTS: own.state_dict()}))
    images, labels = more_of(lambda *what: sampler.drawn_of(*what).images, drawn, 5, seed=1)
    assert labels.tolist() == [0] * 5 + [4] * 5
    assert (images == 200).all()


@pytest.mark.slow
def test_images_beside_the_real_ones_are_learnt_from() -> None:
    labels = torch.arange(8) % 2
    clear = (labels * 255).to(torch.uint8)[:, None, None, None].expand(8, 3, 32, 32).contiguous()
    right, misleading = Sets(clear, labels), Sets(clear, 1 - labels)
    found = accuracy(right, None, right, 12, 0, augment=False)
    mislead = accuracy(misleading, misleading, right, 12, 0, augment=False)
    assert (found, mislead) == (1.0, 0.0)


def test_a_class_may_have_no_other_image_than_those_given() -> None:
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    real, test = Sets(images, torch.tensor([0, 1, 5])), Sets(images[:2], torch.tensor([0, 1]))
    assert 0 <= accuracy(real, None, test, 1, 0, augment=False) <= 1
