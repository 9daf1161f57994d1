"""Times one evaluation as a trial takes it: 1,000 samples, their EfficientNet features, Frechet and kernel distance.

    python -m benchmarks.speed.evaluation

The domain's own features and floors are at hand, as they are from the first evaluation of the first trial on. The floor
is the time of the extractor's and the generator's multiplications (by torch's formulas of flops) at this machine's rate
of float32 products.
"""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.speed.rows import Row, alternate, show
from benchmarks.speed.step import _finished, _flops, _products_per_second
from spaces.networks import Resnet
from spaces.protocol import Protocol
from trainables.images.domains import open_domain
from trainables.images.importing.importers import add_domain
from trainables.images.samples import Samples
from trainables.machine.devices import best_device
from trainables.metrics.context import EvalContext
from trainables.metrics.features import load_extractor
from trainables.metrics.metrics import measure
from trainables.networks.families import build_generator
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.storage.home import Home

PROTOCOL = Protocol(metrics=("fd", "kd"))


def rows() -> list[Row]:
    """Measure the one row of this benchmark: the whole evaluation, with its parts as the remark."""
    with tempfile.TemporaryDirectory() as folder:
        home, device = Home(Path(folder)), best_device()
        add_domain(home, "digits", "builtin:mnist", 32)
        domain = open_domain(home, "digits")
        extractor = load_extractor(PROTOCOL.extractor, PROTOCOL.input_size, home, device)
        generator = build_generator(Resnet(resolution=32, width=16), seed=0).to(
            device, memory_format=torch.channels_last
        )

        def draw() -> torch.Tensor:
            set_standing_statistics(generator)
            return sample(generator, PROTOCOL.n_fake, PROTOCOL.seed)

        def evaluate() -> object:
            return measure(EvalContext(Samples(draw()), domain, domain.path, PROTOCOL, extractor))

        evaluate()
        samples = draw().numpy()
        whole = {"evaluation": evaluate, "sampling": draw, "features": lambda: extractor(samples)}
        seconds = alternate({name: _finished(work, device) for name, work in whole.items()})
        rate = _products_per_second(device, torch.float32)
        floor = _flops(lambda: (draw(), extractor(samples))) / 2 / rate
    work = "evaluation: 1,000 samples, FD and KD"
    remark = f"sampling {seconds['sampling']:.2f} s, features {seconds['features']:.2f} s"
    return [Row(work, seconds["evaluation"], floor=floor, wanted="at most 3 s", remark=remark)]


if __name__ == "__main__":
    start = time.perf_counter()
    show(rows())
    print(f"in {time.perf_counter() - start:.0f} s")
