from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

from trainables.machine.devices import use_cores


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    use_cores(1)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("cores", [1, 2])
def test_numpy_and_scipy_compute_on_as_many_cores_as_torch(cores: int) -> None:
    use_cores(cores)
    assert torch.get_num_threads() == cores
    assert blas_threads() == {cores}
