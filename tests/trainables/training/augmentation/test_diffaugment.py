import pytest
import torch
from torch import Tensor

from trainables.training.augmentation.diffaugment import CUTOUT, TRANSLATION, DiffAugment, draw

SIDE = 32


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int) -> Tensor:
    return torch.rand(n, 3, SIDE, SIDE, generator=numbers(1)) * 2 - 1


@pytest.mark.parametrize("policy", [TRANSLATION, CUTOUT])
def test_an_icon_on_white_gets_no_edge_that_it_had_not(policy: str) -> None:
    icons = torch.ones(64, 3, SIDE, SIDE)
    icons[..., 12:20, 12:20] = -1  # black on white
    shown = DiffAugment(draw([policy], 64, SIDE, numbers()))(icons)
    assert set(shown.round(decimals=4).unique().tolist()) == {-1.0, 1.0}  # zeros would leave grey


def test_what_is_moved_in_is_the_mean_of_the_images_own_border() -> None:
    image = noise(1)
    shown = DiffAugment({"shift": torch.tensor([[3, -2]])})(image)
    border = torch.cat([image[..., 0, :], image[..., -1, :], image[..., 1:-1, 0], image[..., 1:-1, -1]], -1).mean(-1)
    torch.testing.assert_close(shown[..., 3:, :-2], image[..., :-3, 2:])
    torch.testing.assert_close(shown[..., :3, :], border[..., None, None].expand(1, 3, 3, SIDE))
    torch.testing.assert_close(shown[..., -2:], border[..., None, None].expand(1, 3, SIDE, 2))


def test_cutout_covers_a_square_of_half_the_side_cut_off_at_the_border() -> None:
    image = noise(2)
    shown = DiffAugment({"centre": torch.tensor([[16, 16], [0, 31]])})(image)
    changed = (shown - image).abs().amax(1) > 1e-6  # (2, R, R)
    inside = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    inside[0, 8:24, 8:24] = inside[1, :8, 23:] = True
    assert not changed[~inside].any()
    assert changed[inside].float().mean() > 0.99


def test_colours_change_within_the_papers_ranges() -> None:
    drawn = draw(["color"], 4_000, SIDE, numbers())
    ranges = {name: (each.min().item(), each.max().item()) for name, each in drawn.items()}
    wanted = {"brightness": (-0.5, 0.5), "saturation": (0, 2), "contrast": (0.5, 1.5)}
    assert {name: pytest.approx(each, abs=0.01) for name, each in wanted.items()} == ranges
    grey = DiffAugment({"saturation": torch.zeros(4, 1, 1, 1), "contrast": torch.ones(4, 1, 1, 1)})(noise(4))
    torch.testing.assert_close(grey[:, 0], grey[:, 2])


def test_every_image_has_draws_of_its_own_and_translation_reaches_an_eighth() -> None:
    drawn = draw([TRANSLATION, CUTOUT], 4_000, SIDE, numbers())
    assert (drawn["shift"].min(), drawn["shift"].max()) == (-4, 4)
    assert (drawn["centre"].min(), drawn["centre"].max()) == (0, SIDE)
    assert len(drawn["shift"].unique(dim=0)) == 9 * 9


def test_gradients_go_through_to_the_images() -> None:
    images = noise(3).requires_grad_()
    DiffAugment(draw(["color", TRANSLATION, CUTOUT], 3, SIDE, numbers()))(images).square().sum().backward()
    assert images.grad is not None and (images.grad.flatten(1).abs().sum(1) > 0).all()
