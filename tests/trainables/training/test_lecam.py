import pytest
import torch
from torch import Tensor

from trainables.training.lecam import LeCam
from trainables.training.parallel import Group

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, -2.0])


def lecam(weight: float = 0.3, decay: float = 0.9, start: int = 0) -> LeCam:
    return LeCam(weight, decay, start, Group())


def by_hand(real: Tensor, fake: Tensor, m_real: float, m_fake: float) -> float:
    return float((real - m_fake).relu().square().mean() + (m_real - fake).relu().square().mean())


def test_the_first_batch_is_the_average_and_the_next_ones_move_it_before_they_are_judged() -> None:
    term = lecam()
    assert term(REAL, FAKE, 0).item() == pytest.approx(0.3 * by_hand(REAL, FAKE, 1.0, -1.5))
    m_real, m_fake = 0.9 * 1.0 + 0.1 * 3.0, 0.9 * -1.5 + 0.1 * 0.5
    assert term(REAL + 2, FAKE + 2, 8).item() == pytest.approx(0.3 * by_hand(REAL + 2, FAKE + 2, m_real, m_fake))


def test_before_its_start_it_is_0_and_the_averages_are_the_last_batchs() -> None:
    term = lecam(start=16)
    assert [term(REAL + step, FAKE, images).item() for step, images in enumerate((0, 8))] == [0, 0]
    assert term.averages.tolist() == [2.0, -1.5]
    m_real = 0.9 * 2.0 + 0.1 * 1.0
    assert term(REAL, FAKE, 16).item() == pytest.approx(0.3 * by_hand(REAL, FAKE, m_real, -1.5))


def test_it_draws_logits_together_and_only_what_is_apart() -> None:
    term = lecam()
    term(REAL, FAKE, 0)
    real, fake = REAL.clone().requires_grad_(), torch.tensor([5.0, -2.0], requires_grad=True)
    term(real, fake, 8).backward()
    assert real.grad is not None and fake.grad is not None
    assert (real.grad > 0).all()  # descent lowers them
    assert fake.grad[0] == 0 and fake.grad[1] < 0  # one judged above real images is left alone


def test_a_reloaded_one_goes_on_alike() -> None:
    one, other = lecam(), lecam()
    one(REAL, FAKE, 0)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(REAL + 1, FAKE, 8), other(REAL + 1, FAKE, 8))
