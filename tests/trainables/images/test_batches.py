from itertools import islice

import pytest
import torch

from trainables.images import batches as module
from trainables.images.batches import batches
from trainables.images.domains import open_domain

CPU = torch.device("cpu")


@pytest.fixture
def domain(home, tiny_domain):
    return open_domain(home, tiny_domain)


def draw(domain, n, first=0, make=batches, **where):
    rows = domain.subset(20, seed=1)
    return torch.stack(list(islice(make(domain, rows, 8, seed=2, first=first, **where), n)))


def test_batches_go_on_from_where_a_resumed_trial_stands(domain):
    whole, rest = draw(domain, 5, device=CPU), draw(domain, 2, first=3, device=CPU)
    assert whole.shape == (5, 8, 3, 32, 32)
    assert whole.dtype == torch.uint8
    torch.testing.assert_close(rest, whole[3:])


def test_images_on_the_device_give_the_same_batches_as_the_mapped_file(domain):
    torch.testing.assert_close(draw(domain, 5, make=module._resident, device=CPU), draw(domain, 5, device=CPU))
