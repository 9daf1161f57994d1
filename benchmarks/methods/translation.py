"""Whether translation methods beat doing nothing: python -m benchmarks.methods.translation --folder FOLDER

The smallest test of METHODS 2.1: phosphor's thin icons to its filled ones at 32 pixels, trained unpaired on disjoint names
and scored on held-out names, whose true filled icon is known. Every method is trained with a few seeds, one thread each, in
trials that go on where an earlier call was killed; what is printed is a table in Markdown, of each method's mean and range.

Beside the methods stand baselines that train nothing: the input as it is, the input with the target's mean and spread of
each channel, the input with its ink dilated by the side of square that suits the pairs best, and the nearest training image
of the target. `kd` is that of as many images as there are pairs, to the target's training images.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import grey_erosion
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.setting_up import add_builtin, learner_of
from spaces.config import TrialConfig
from spaces.protocol import Protocol
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain
from trainables.images.importing.classes_apart import Apart
from trainables.images.importing.importers import add_domain
from trainables.images.pairs import pairs
from trainables.images.samples import Inputs, Samples
from trainables.methods.registry import open_sampler
from trainables.metrics.distances import kernel_distance
from trainables.metrics.features import Extractor, content_maps, load_extractor
from trainables.metrics.manifolds import squared_distances
from trainables.metrics.translations import content_shift, pair_error
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.trial_files import TrialFiles

SOURCE, TARGET = "phosphor-thin", "phosphor-fill"
TARGET_IMAGES = 357
"""Half of the training names; the source trains on the other half."""
ITERATIONS = 2_000
BESIDE = ("phosphor-light", "phosphor-bold")
"""Further weights, for methods of several domains."""
CPU = torch.device("cpu")

Images = NDArray[np.uint8]

METHODS: Mapping[str, Mapping[str, object]] = {
    "direct": {"method": "direct"},
    "cyclegan": {"method": "cyclegan"},
    "feature_consistency": {
        "method": "feature_consistency",
        "protocol": {"metrics": ("pair_error",), "n_fake": 178},  # not by the features that it trains on
    },
    "unit": {"method": "unit"},
    "domain_confusion": {"method": "domain_confusion"},
    "xgan": {"method": "xgan"},
    "dtn": {"method": "dtn"},
    "stargan": {"method": "stargan", "beside": BESIDE},
    "combogan": {"method": "combogan", "beside": BESIDE},
}
"""What is trained: settings by what they are called in the table."""
COSTS: Mapping[str, Mapping[str, object]] = {
    **METHODS,
    "cogan": {"method": "cogan"},
    "funit": {"method": "funit", "target": "glyphs-unseen", "source": "glyphs", "data": {"shots": 3}},
}
"""What is timed: also methods whose tests are others, `benchmarks.methods.coupled` and `benchmarks.methods.unseen_class`."""
IMAGES: Mapping[str, int] = {"stargan": 20}
"""Target images that an iteration takes, where they are not 4: StarGAN's has five steps of the critic."""


@dataclass(frozen=True)
class Pairs:
    """Held-out pictures in both styles, and what is needed to score translations of them."""

    inputs: Inputs
    targets: Images
    trained: Images
    """The target's training images."""
    extractor: Extractor
    domain: Domain
    """The target."""

    @classmethod
    def of(cls, home: Home) -> "Pairs":
        """The pairs of the benchmark's two domains."""
        source, target = open_domain(home, SOURCE), open_domain(home, TARGET)
        of_source, of_target = pairs(source, target)
        inputs = Inputs(torch.from_numpy(source.images[of_source]), tuple(source.names[row] for row in of_source))
        protocol = Protocol()
        extractor = load_extractor(protocol.extractor, protocol.input_size, home, CPU)
        return cls(inputs, target.images[of_target], target.images[target.subset(TARGET_IMAGES, 0)], extractor, target)

    @cached_property
    def real(self) -> NDArray[np.float32]:
        """Features of the target's training images."""
        return self.extractor(self.trained)

    def scores(self, translations: Images) -> dict[str, float]:
        """How far translations of the inputs are from the true pairs, from the target as a whole, and from the inputs."""
        samples = Samples(torch.from_numpy(translations), inputs=self.inputs.images, pictures=self.inputs.names)
        return {
            "pair error": pair_error(samples, self.domain).value,
            "kd": kernel_distance(self.extractor(translations), self.real, seed=0),
            "content shift": content_shift(samples, self.trained, partial(content_maps, device=CPU)).value,
        }

    def untrained(self) -> Iterator[tuple[str, Images]]:
        """What takes no training, by name; the last one is the true pair itself, whose scores are floors."""
        inputs = self.inputs.images.numpy()
        yield "input as it is", inputs
        axes = (0, 2, 3)
        spread = self.trained.std(axes, keepdims=True) / inputs.std(axes, keepdims=True)
        moved = (inputs - inputs.mean(axes, keepdims=True)) * spread + self.trained.mean(axes, keepdims=True)
        yield "mean and spread matched", moved.round().clip(0, 255).astype(np.uint8)
        dilated = {side: grey_erosion(inputs, (1, 1, side, side)) for side in (2, 3, 4, 5)}  # ink is dark
        best = min(dilated, key=lambda side: np.abs(dilated[side].astype(int) - self.targets).mean())
        yield f"ink dilated by a square of {best}", dilated[best]
        distances = squared_distances(self.extractor(inputs), self.real)
        yield "nearest training image", self.trained[distances.argmin(1)]
        yield "true pair", self.targets


def config_of(settings: Mapping[str, object], seed: int, iterations: int) -> TrialConfig:
    """A trial of a method; its protocol measures little, as the pairs are scored here."""
    images = IMAGES.get(str(settings["method"]), 4) * iterations
    return parse_trial(
        {
            "target": TARGET,
            "source": SOURCE,
            "seed": seed,
            "data": {"target_images": TARGET_IMAGES},
            "budget": {"images": images, "eval_every_images": max(1, images // 8)},
            "protocol": {"metrics": ("kd",), "n_fake": 178},
            **settings,
        },
        "benchmark",
    )


def trained(home: Home, folder: Path, names: Sequence[str], seeds: int, iterations: int) -> dict[str, list[Path]]:
    """Train these methods with every seed, or go on with it; the models by the method's name."""
    found: dict[str, list[Path]] = {}
    for name in names:
        for seed in range(seeds):
            config = config_of(METHODS[name], seed, iterations)
            files = TrialFiles(
                folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}", folder / "samples" / f"{name}-{seed}"
            )
            for _ in run_trial(config, home, files, CPU):
                pass
            print(f"{name}, seed {seed}: trained", file=sys.stderr, flush=True)
            found.setdefault(name, []).append(files.model)
    return found


def table(found: Pairs, models: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """The lines of the table of scores in Markdown; of several seeds the mean, and the range in brackets."""
    names = ("pair error", "kd", "content shift")
    yield f"| | seeds | {' | '.join(names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for name, images in found.untrained():
        yield _line(name, [found.scores(images)])
    for name, paths in models.items():
        n = len(found.inputs.images)
        drawn = [open_sampler(path)(n, 0, found.inputs).images.numpy() for path in paths]
        yield _line(name, [found.scores(images) for images in drawn])


def _line(name: str, scores: Sequence[Mapping[str, float]]) -> str:
    cells = []
    for metric in scores[0]:
        values = [each[metric] for each in scores]
        spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{spread}")
    return f"| {name} | {len(scores) if len(scores) > 1 else ''} | {' | '.join(cells)} |"


def costs(home: Home, names: Sequence[str]) -> Iterator[str]:
    """The lines of the table of costs in Markdown: each method in a process of its own, of one thread.

    Seconds are the processor's. The floor is what the step's multiplications take at the rate of a large product of matrices.
    """
    yield "| | seconds an iteration | its multiplications alone | ratio | peak memory |"
    yield "|---|---|---|---|---|"
    for name in names:
        with get_context("spawn").Pool(1) as pool:
            seconds, floor, memory = pool.apply(cost, (home, COSTS[name]))
        yield f"| {name} | {seconds:.3f} | {floor:.3f} | {seconds / floor:.1f} | {memory / 2**20:,.0f} MiB |"


def cost(home: Home, settings: Mapping[str, object], steps: int = 10) -> tuple[float, float, int]:
    """Of a training step: processor seconds (the median), the seconds of its multiplications, and the process's peak bytes."""
    torch.set_num_threads(1)
    config = config_of(settings, 0, ITERATIONS)
    learner, batches = learner_of(config, home)
    counted = FlopCounterMode(display=False)
    counted.mod_tracker = OneModule()  # its own hangs hooks on modules, which a penalty's autograd.grad does not bear
    with counted:
        learner.step(next(batches))
    seconds = statistics.median(_timed(lambda: learner.step(next(batches))) for _ in range(steps))
    one = torch.rand(1024, 1024)
    rate = 2 * 1024**3 / statistics.median(_timed(lambda: one @ one) for _ in range(steps))
    return seconds, counted.get_total_flops() / rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class OneModule(nullcontext[None]):
    """All operations are of one module, for the counter of multiplications."""

    parents: ClassVar = {"Global"}


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(folder: Path, names: Sequence[str], seeds: int, iterations: int, cheap: bool) -> None:
    """Train what is not trained yet, and print both tables; `cheap` prints that of costs alone."""
    torch.set_num_threads(1)
    home = Home.make(folder / "home")
    add_builtin(home, SOURCE, TARGET, *BESIDE)
    if "funit" in names and "glyphs" not in home.names("domains"):
        add_domain(home, "glyphs", "builtin:glyphs", 32, unseen=Apart("50"))
    if not cheap:
        print("\n".join(table(Pairs.of(home), trained(home, folder, names, seeds, iterations))), flush=True)
    print("", *costs(home, names), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for domains and trials; the same one goes on")
    parser.add_argument("--methods", default=";".join(METHODS), help="by name, ';' between them; by default all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--costs", action="store_true", help="print the table of costs alone")
    options = parser.parse_args()
    known = COSTS if options.costs else METHODS
    if unknown := [name for name in options.methods.split(";") if name not in known]:
        sys.exit(f"unknown method {unknown[0]!r}; known: {'; '.join(known)}")
    main(options.folder, options.methods.split(";"), options.seeds, options.iterations, options.costs)
