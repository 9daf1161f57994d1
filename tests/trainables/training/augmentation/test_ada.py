import pytest
import torch
from torch import Tensor

from trainables.training.augmentation.ada import BATCHES, Bgc, Strength, _rotation, _translation, draw
from trainables.training.parallel import Group

SIDE = 32


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int) -> Tensor:
    return torch.rand(n, 3, SIDE, SIDE, generator=numbers(1)) * 2 - 1


def warped(images: Tensor, warp: Tensor) -> Tensor:
    n = len(images)
    plain = {"colour": torch.eye(3).repeat(n, 1, 1), "offset": torch.zeros(n, 3, 1, 1)}
    return Bgc({"moved": torch.ones(n, dtype=torch.bool), "warp": warp[:, :2].repeat(n, 1, 1), **plain})(images)


def test_at_a_strength_of_0_nothing_changes() -> None:
    images = noise(8)
    assert torch.equal(Bgc(draw(0.0, 8, SIDE, numbers()))(images), images)


def test_at_a_strength_of_1_every_image_changes() -> None:
    images = noise(200)
    shown = Bgc(draw(1.0, 200, SIDE, numbers()))(images)
    assert ((shown - images).flatten(1).abs().amax(1) > 0.01).all()


def test_a_quarter_of_the_strength_leaves_each_change_out_of_three_quarters_of_images() -> None:
    drawn = draw(0.25, 20_000, SIDE, numbers())
    brightened = (drawn["offset"].flatten(1).abs().amax(1) > 0).float().mean()
    assert brightened.item() == pytest.approx(0.25, abs=0.01)


def test_an_image_is_shifted_by_whole_pixels_along_both_axes_or_along_none() -> None:
    p, n = 0.25, 20_000
    shifts = 1 - (1 / 8) ** 2  # of those chosen; the others are moved by 0 pixels, of at most 4
    stays = (1 - p / 2) * (1 - p * 3 / 4) * (1 - p * shifts) * (1 - p) ** 4
    assert draw(p, n, SIDE, numbers())["moved"].float().mean().item() == pytest.approx(1 - stays, abs=0.01)


def test_quarter_turns_and_whole_shifts_keep_pixels_as_they_are() -> None:
    images = noise(3)
    turned = warped(images, _rotation(torch.full((1,), torch.pi / 2)))
    assert min((turned - images.rot90(k, (2, 3))).abs().max() for k in (1, 3)) < 1e-4
    shifted = warped(images, _translation(torch.full((1,), 2 * 3 / SIDE), torch.zeros(1)))
    torch.testing.assert_close(shifted[..., :-3], images[..., 3:], atol=1e-4, rtol=0)


def test_an_icon_on_white_gets_no_edge_from_a_shift() -> None:
    icons = torch.ones(1, 3, SIDE, SIDE)
    icons[..., 14:18, 14:18] = -1
    shown = warped(icons, _translation(torch.full((1,), 0.25), torch.full((1,), 0.25)))
    assert (shown[..., 16:] > 0.999).all()


def test_colours_are_moved_around_and_along_the_axis_of_greys() -> None:
    grey = torch.full((500, 3, SIDE, SIDE), 0.25)
    numbers_ = dict(draw(1.0, 500, SIDE, numbers()))
    shown = Bgc(numbers_)(grey)
    torch.testing.assert_close(shown.amax(1), shown.amin(1), atol=1e-4, rtol=0)  # a grey stays a grey


def strength(target: float = 0.6, images: float = 800, rows: int = 2) -> Strength:
    return Strength(target, images, rows, Group())


def test_the_strength_rises_while_the_critic_is_sure_and_falls_to_0_again() -> None:
    found, seen = strength(), []
    for sure in [True] * 3 + [False] * 5:
        for _ in range(BATCHES):
            found.learn(torch.ones(2) if sure else torch.tensor([1.0, -1.0]))
        seen.append(round(found.p.item(), 6))
    step = BATCHES * 2 / 800
    assert seen == pytest.approx([step, 2 * step, 3 * step, 2 * step, step, 0, 0, 0])


def test_the_strength_has_no_upper_limit() -> None:
    found = strength(images=4)
    for _ in range(2 * BATCHES):
        found.learn(torch.ones(2))
    assert found.p == 4
    draw(float(found.p), 4, SIDE, numbers())


def test_a_reloaded_strength_goes_on_in_the_middle_of_its_batches() -> None:
    one, other = strength(), strength()
    for _ in range(BATCHES - 1):
        one.learn(torch.tensor([3.0, 1.0]))
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.learn(torch.tensor([3.0, -1.0]))
    assert one.p == other.p > 0
