"""Times the Frechet distance of two 2,048-feature moments: ours, pytorch-fid's, torch-fidelity's and torchmetrics'.

    python -m benchmarks.speed.distances

All start from means and covariances; pytorch-fid takes SciPy's matrix root. The floor is the time of these
multiplications at this machine's rate of float64 products: d^3 / 6 for a Cholesky factor, d^3 / 2 for the product of
it, the other covariance and it again, 2/3 d^3 for LAPACK's reduction to a tridiagonal matrix (half of which are
products of a matrix and a vector, bound by memory).
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from benchmarks.speed.rows import Row, agree, alternate, show
from trainables.machine.devices import use_cores
from trainables.metrics.distances import Moments, frechet_distance

D = 2048
"""Features, as Inception has them."""


def rows() -> list[Row]:
    """Measure the one row of this benchmark. Raises AssertionError if the contenders' values differ by over 1e-6."""
    use_cores(torch.get_num_threads())  # for all contenders
    mean_a, cov_a = _moments(seed=0, scale=1.0)
    mean_b, cov_b = _moments(seed=1, scale=1.3)
    stats_a, stats_b = ({"mu": m, "sigma": c} for m, c in ((mean_a, cov_a), (mean_b, cov_b)))
    tensors = [torch.from_numpy(array) for array in (mean_a, cov_a, mean_b, cov_b)]

    def fidelity() -> float:
        return float(fid_statistics_to_metric(stats_a, stats_b, False)["frechet_inception_distance"])

    contenders = {
        "ours": lambda: frechet_distance(Moments(mean_a, cov_a, 10_000), Moments(mean_b, cov_b, 10_000)),
        "pytorch-fid (SciPy sqrtm)": lambda: float(calculate_frechet_distance(mean_a, cov_a, mean_b, cov_b)),
        "torch-fidelity": fidelity,
        "torchmetrics": lambda: float(_compute_fid(*tensors)),
    }
    agree({name: work() for name, work in contenders.items()}, relative=1e-6)
    seconds = alternate(contenders, repeats=7, warm_up=0)
    ours = seconds.pop("ours")
    floor = (1 / 6 + 1 / 2 + 2 / 3) * D**3 / _products_per_second()
    wanted = "20x sqrtm, 6x torch-fidelity"
    return [Row("Frechet distance, 2,048 features", ours, seconds, floor, wanted=wanted, remark="same value to 1e-6")]


def _moments(seed: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the mean (d,) and covariance (d, d) of correlated features, of full rank and a spectrum as Inception's."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((D, D)) * np.arange(1, D + 1) ** -0.7
    features = rng.standard_normal((2 * D, D)) @ mixing.T * scale
    return features.mean(0), np.cov(features, rowvar=False)


def _products_per_second() -> float:
    """Measure how many multiplications a second a float64 product of matrices takes on this machine."""
    x = np.random.default_rng(0).standard_normal((D, D))
    x @ x
    start = time.perf_counter()
    x @ x
    return D**3 / (time.perf_counter() - start)


if __name__ == "__main__":
    show(rows())
