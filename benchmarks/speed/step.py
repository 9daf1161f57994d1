"""Times the training iteration, 5 critic steps and 1 generator step: ours against a plain port's and torch-mimicry's.

    python -m benchmarks.speed.step                     # on the GPU if there is one, else the CPU
    python -m benchmarks.speed.step 16 32 32            # one size: width, pixels, batch
    python -m benchmarks.speed.step memory ours 16 32 32

All contenders have the same networks, weights and data. torch-mimicry brings its own critic and generator steps and
penalty; its networks are other ones, so its steps run on the plain port's. The floor is the time of our own iteration's
multiplications (by torch's formulas of flops) at the rate of this machine's matrix products in the same precision.
"""

import itertools
import re
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.speed import plain_wgan_gp
from benchmarks.speed.rows import Row, alternate, show
from spaces.trials import parse_trial
from trainables.images.batches import Batch
from trainables.machine.devices import best_device, native_precision, use_cores
from trainables.methods.finetuning.finetune import Finetune
from trainables.training.parallel import Group

CRITIC_STEPS = 5
CPU_SIZES = ((16, 32, 32), (32, 32, 64))
GPU_SIZES = ((32, 32, 64), (64, 64, 64))
"""The sizes to measure: width, pixels and batch of each."""
WANTED = {("cpu", 16): "2.5x", ("cpu", 32): "2.5x", ("cuda", 32): "5x", ("cuda", 64): "2.5x"}
"""How much faster than the plain port we want to be, by device and width."""


def rows(sizes: tuple[tuple[int, int, int], ...] | None = None) -> Iterator[Row]:
    """Measure a row of time and a row of peak memory of an iteration at each size: width, pixels, batch."""
    device = best_device()
    use_cores(torch.get_num_threads())  # for all contenders
    for size in sizes or (CPU_SIZES if device.type == "cpu" else GPU_SIZES):
        yield _time(*size, device)
        yield _memory(*size, device)


def _time(width: int, resolution: int, batch: int, device: torch.device) -> Row:
    contenders = {name: make(width, resolution, batch, device) for name, make in CONTENDERS.items()}
    repeats = 15 if width * batch < 1024 else 5  # short ones vary more
    seconds = alternate(
        {name: _finished(work, device) for name, work in contenders.items()}, repeats=repeats, warm_up=2
    )
    ours = seconds.pop("ours")
    products = _flops(contenders["ours"]) / 2
    precision = native_precision(device)
    floor = products / _products_per_second(device, getattr(torch, precision))
    return Row(
        f"training iteration, {_named(width, resolution, batch, device)}",
        ours,
        seconds,
        floor,
        wanted=f"{WANTED.get((device.type, width), '')} plain",
        remark=f"{precision}; {floor / ours:.0%} of the rate of its matrix products",
    )


def _memory(width: int, resolution: int, batch: int, device: torch.device) -> Row:
    """Measure peak memory, of each contender in a process of its own, or the others' memory would hide it."""
    mebibytes = {}
    for name in CONTENDERS:
        command = [sys.executable, "-m", "benchmarks.speed.step", "memory", name, *map(str, (width, resolution, batch))]
        mebibytes[name] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = mebibytes.pop("ours")
    work = f"peak memory of it, {_named(width, resolution, batch, device)}"
    return Row(work, ours, mebibytes, unit="MiB", wanted="below plain's")


def _named(width: int, resolution: int, batch: int, device: torch.device) -> str:
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    return f"width {width}, {resolution} px, batch {batch}, {where}"


def _ours(width: int, resolution: int, batch: int, device: torch.device, precision: str = "") -> Callable[[], object]:
    config = parse_trial(
        {
            "target": "x",
            "source": "scratch",
            "network": {"resolution": resolution, "width": width},
            "optim": {"batch": batch, "precision": precision or native_precision(device)},
            "budget": {"images": 1, "eval_every_images": 1},
        },
        "benchmark",
    )
    learner, images = Finetune(config, None, device, Group()), Batch(_images(CRITIC_STEPS * batch, resolution))
    return lambda: learner.step(images)


def _ours_in_float32(width: int, resolution: int, batch: int, device: torch.device) -> Callable[[], object]:
    return _ours(width, resolution, batch, device, "float32")


def _plain(width: int, resolution: int, batch: int, device: torch.device) -> Callable[[], object]:
    trainer = plain_wgan_gp.Trainer(width, resolution, batch, device=device.type)
    reals = _real_batches(resolution, batch, device)
    return lambda: trainer.iteration(reals)


def _mimicry(width: int, resolution: int, batch: int, device: torch.device) -> Callable[[], object]:
    """Make an iteration of mimicry's WGAN-GP steps, as its Trainer takes them, on the plain port's networks."""
    for module, *names in (
        ["tensorflow"],
        ["skimage", "io"],
        ["torch._six", "PY3"],
        ["torch.utils.tensorboard", "SummaryWriter"],
    ):
        _blank(module, *names)
    from torch_mimicry.nets.wgan_gp.wgan_gp_base import WGANGPBaseDiscriminator, WGANGPBaseGenerator
    from torch_mimicry.training.metric_log import MetricLog

    class TheirGenerator(WGANGPBaseGenerator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(nz=128, ngf=width, bottom_width=4)
            self.network = plain_wgan_gp.Generator(plain_wgan_gp.channels(width, resolution)[::-1], 128)

        def forward(self, z: Tensor) -> Tensor:
            return self.network(z)

    class TheirCritic(WGANGPBaseDiscriminator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(ndf=width)
            self.network = plain_wgan_gp.Critic(plain_wgan_gp.channels(width, resolution))

        def forward(self, images: Tensor) -> Tensor:
            return self.network(images).view(-1, 1)

    generator, critic = TheirGenerator().to(device), TheirCritic().to(device)
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), lr=1e-4, betas=(0.0, 0.9)) for m in (generator, critic))
    reals, log = _real_batches(resolution, batch, device), MetricLog()

    def iteration() -> None:
        about = {"log_data": log, "device": device, "global_step": 0}
        for _ in range(CRITIC_STEPS):
            real = (next(reals), None)
            critic.train_step(real_batch=real, netG=generator, optD=adam_d, **about)
        generator.train_step(real_batch=real, netD=critic, optG=adam_g, **about)

    return iteration


def _blank(module: str, *names: str) -> None:
    """Put an empty module in the place of one that mimicry imports and that is not used here."""
    sys.modules[module] = types.ModuleType(module)
    sys.modules[module].__spec__ = ModuleSpec(module, None)
    for name in names:
        setattr(sys.modules[module], name, None)


CONTENDERS = {"ours": _ours, "ours in float32": _ours_in_float32, "plain": _plain, "torch-mimicry": _mimicry}
"""What makes a contender's iteration, a function to call, of width, pixels, batch and device."""


def _images(n: int, resolution: int) -> Tensor:
    return torch.randint(0, 256, (n, 3, resolution, resolution), dtype=torch.uint8)


def _real_batches(resolution: int, batch: int, device: torch.device) -> Iterator[Tensor]:
    images = _images(CRITIC_STEPS * batch, resolution).to(device).float().div_(127.5).sub_(1)
    return itertools.cycle(images.split(batch))


def _finished(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Make work that waits for its own end: a GPU runs behind."""
    if device.type == "cpu":
        return work
    return lambda: (work(), torch.cuda.synchronize(device))


class _Counting(TorchDispatchMode):
    """Adds up torch's counts of flops; its FlopCounterMode follows modules by hooks that `autograd.grad` can't bear."""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


def _flops(work: Callable[[], object]) -> int:
    """Count the floating-point operations of some work: two a multiplication, for it comes with an addition."""
    with _Counting() as counter:
        work()
    return counter.flops


def _products_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Measure how many multiplications a second a product of matrices takes on a device."""
    n = 2048 if device.type == "cpu" else 8192
    x = torch.randn(n, n, device=device, dtype=dtype)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        _finished(lambda: x @ x, device)()
        seconds.append(time.perf_counter() - start)
    return n**3 / min(seconds[1:])


def _peak_mebibytes(name: str, width: int, resolution: int, batch: int) -> float:
    """Measure the memory, in MiB, that three iterations need beyond what was there before them."""
    device = best_device()
    use_cores(torch.get_num_threads())
    work = CONTENDERS[name](width, resolution, batch, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten; it may be the parent's
        before = _resident_peak()
    for _ in range(3):
        work()
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident_peak()
    return (peak - before) / 2**20


def _resident_peak() -> int:
    """Read the most memory that this process has had, in bytes."""
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        print(_peak_mebibytes(sys.argv[2], *map(int, sys.argv[3:])))
    else:
        show(rows((tuple(map(int, sys.argv[1:])),) if sys.argv[1:] else None))  # type: ignore[arg-type]
