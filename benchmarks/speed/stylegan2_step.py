"""An iteration of StyleGAN2 beside a straightforward port of the same equations, in one process, in turns.

`python -m benchmarks.speed.stylegan2_step [--resolution 32] [--preset small|auto] [--rounds 7]`

The port is what the paper writes down: a kernel for each sample and one convolution in as many groups, zeros put between
pixels and then the filter, every second pixel taken behind the filter. All else is ours in both: the learner, the losses, the
lazy steps, Adam. On a CPU, seconds are the process's own, so that a busy machine shows in neither. A round is 16 iterations
of each, one step of R1 and four of the path length among them.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.presets import FAMILY_PRESETS
from trainables.images.batches import Batch
from trainables.machine.devices import best_device, device_name
from trainables.methods.finetuning.stylegan2 import FinetuneStyleGAN2
from trainables.training.parallel import Group

ITERATIONS = 16
_SIDE = torch.tensor([1.0, 3.0, 3.0, 1.0])
_NETWORKS = "trainables.networks."


def filtered(x: Tensor, *, padding: tuple[int, int], gain: float = 1.0) -> Tensor:
    """The filter over x, with zeros before and behind."""
    kernel = (torch.outer(_SIDE, _SIDE) * (gain / 64)).to(x.device, x.dtype).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, 2 * padding), kernel, groups=x.shape[1])


def port_smooth(x: Tensor, *, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """As ours, with every pixel filtered and then every `stride`-th taken."""
    return filtered(x, padding=(padding, padding), gain=gain)[:, :, ::stride, ::stride]


def port_double(x: Tensor) -> Tensor:
    """As ours, with zeros put between the pixels first."""
    n, channels, side, _ = x.shape
    spaced = F.pad(x.reshape(n, channels, side, 1, side, 1), [0, 1, 0, 0, 0, 1]).reshape(
        n, channels, 2 * side, 2 * side
    )
    return filtered(spaced, padding=(2, 1), gain=4)


def port_modulated(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """As ours, with a kernel for each sample and one convolution in as many groups."""
    n, inputs, side, _ = x.shape
    kernels = weight * style[:, None, :, None, None]
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, n * inputs, side, side)
    if not up:
        y = F.conv2d(x, kernels.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
        return y.reshape(n, -1, side, side)
    y = F.conv_transpose2d(x, kernels.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
    return filtered(y.reshape(n, -1, 2 * side + 1, 2 * side + 1), padding=(1, 1), gain=4)


@contextmanager
def port() -> Iterator[None]:
    """Inside the block the networks compute as the port does."""
    with (
        patch(f"{_NETWORKS}stylegan2_generator.modulated", port_modulated),
        patch(f"{_NETWORKS}stylegan2_generator.double", port_double),
        patch(f"{_NETWORKS}stylegan2_layers.smooth", port_smooth),
        patch(f"{_NETWORKS}stylegan2_critic.smooth", port_smooth),
    ):
        yield


def main() -> None:
    """Print seconds an iteration of both, their ratio, and how far their losses are apart at the start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    device = best_device()
    config = FAMILY_PRESETS["stylegan2"][given.preset]("bench", given.resolution)
    optim = config.optim.model_copy(update={"precision": given.precision})
    config = config.model_copy(update={"optim": optim})
    ours, theirs = (FinetuneStyleGAN2(config, None, device, Group()) for _ in range(2))
    size = config.optim.batch
    images = torch.randint(0, 256, (size, 3, given.resolution, given.resolution), dtype=torch.uint8)
    first = ours.step(Batch(images))
    with port():
        told = theirs.step(Batch(images))
    apart = max(float((first[name] - told[name]).abs()) for name in first)
    seconds: dict[str, list[float]] = {"ours": [], "port": []}
    for _ in range(given.rounds):
        seconds["ours"].append(_round(ours, images))
        with port():
            seconds["port"].append(_round(theirs, images))
    mine, other = (statistics.median(each) for each in seconds.values())
    ratios = [a / b for a, b in zip(seconds["ours"], seconds["port"], strict=True)]
    print(f"{device_name(device)}, {torch.get_num_threads()} threads, {given.precision}, batch {size}")
    print(f"stylegan2 {given.preset}, {given.resolution} pixels: losses of the first step {apart:.1e} apart")
    print(f"seconds an iteration, median of {given.rounds} rounds: ours {mine:.4f}, port {other:.4f}")
    print(f"ours / port: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    print(f"seconds per 1,000 images: ours {1000 * mine / size:.1f}")
    if device.type == "cuda":
        print(f"peak memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB, both learners")


def _round(learner: FinetuneStyleGAN2, images: Tensor) -> float:
    """Seconds an iteration, over as many as the lazy steps take to come round; on a CPU those of this process alone."""
    clock = time.process_time if learner.device.type == "cpu" else time.perf_counter
    begun = clock()
    for _ in range(ITERATIONS):
        losses = learner.step(Batch(images))
    float(losses["loss_g"])  # waits for a GPU
    return (clock() - begun) / ITERATIONS


if __name__ == "__main__":
    main()
