"""Whether translation methods beat doing nothing: python -m benchmarks.translation --folder FOLDER

The smallest test of METHODS 2.1: phosphor's thin icons to its filled ones at 32 pixels, trained unpaired on disjoint names
and scored on held-out names, whose true filled icon is known. Every method is trained with a few seeds, one thread each, in
trials that go on where an earlier call was killed; what is printed is a table in Markdown, of each method's mean and range.

Beside the methods stand baselines that train nothing: the input as it is, the input with the target's mean and spread of
each channel, the input with its ink dilated by the side of square that suits the pairs best, and the nearest training image
of the target. `kd` is that of as many images as there are pairs, to the target's training images.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spaces.config import TrialConfig
from spaces.protocol import Protocol
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain
from trainables.images.importing.importers import add_domain
from trainables.images.pairs import pairs
from trainables.images.samples import Inputs
from trainables.metrics.distances import kernel_distance
from trainables.metrics.features import Extractor, load_extractor
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.trial_files import TrialFiles

SOURCE, TARGET = "phosphor-thin", "phosphor-fill"
TARGET_IMAGES = 357
"""Half of the training names; the source trains on the other half."""
ITERATIONS = 2_000
CPU = torch.device("cpu")

Images = NDArray[np.uint8]

METHODS: Mapping[str, Mapping[str, object]] = {
    "direct": {"method": "direct"},
    "cyclegan": {"method": "cyclegan"},
    "cyclegan, no identity": {"method": "cyclegan", "weights": {"identity": 0}},
}
"""What is trained: settings by what they are called in the table."""


@dataclass(frozen=True)
class Pairs:
    """Held-out pictures in both styles, and what is needed to score translations of them."""

    inputs: Inputs
    targets: Images
    target: Domain
    extractor: Extractor
    real: NDArray[np.float32]
    """Features of the target's training images."""

    @classmethod
    def of(cls, home: Home) -> "Pairs":
        source, target = open_domain(home, SOURCE), open_domain(home, TARGET)
        of_source, of_target = pairs(source, target)
        inputs = Inputs(torch.from_numpy(source.images[of_source]), tuple(source.names[row] for row in of_source))
        protocol = Protocol()
        extractor = load_extractor(protocol.extractor, protocol.input_size, home, CPU)
        real = extractor(target.images[target.subset(TARGET_IMAGES, 0)])
        return cls(inputs, target.images[of_target], target, extractor, real)

    def scores(self, translations: Images) -> dict[str, float]:
        """How far translations of the inputs are from the true pairs, and from the target as a whole."""
        difference = np.abs(translations.astype(float) - self.targets).mean() / 255
        return {
            "pair error": float(difference),
            "kd": kernel_distance(self.extractor(translations), self.real, seed=0),
        }


def config_of(settings: Mapping[str, object], seed: int, iterations: int) -> TrialConfig:
    """A trial of a method; its protocol measures little, as the pairs are scored here."""
    images = 4 * iterations
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


def trained(home: Home, folder: Path, seeds: int, iterations: int) -> dict[str, list[Path]]:
    """Train every method with every seed, or go on with it; the models by the method's name."""
    found: dict[str, list[Path]] = {}
    for name, settings in METHODS.items():
        for seed in range(seeds):
            config = config_of(settings, seed, iterations)
            files = TrialFiles(
                folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}", folder / "samples" / f"{name}-{seed}"
            )
            for _ in run_trial(config, home, files, CPU):
                pass
            print(f"{name}, seed {seed}: trained", file=sys.stderr, flush=True)
            found.setdefault(name, []).append(files.model)
    return found


def main(folder: Path, seeds: int, iterations: int) -> None:
    """Train what is not trained yet."""
    torch.set_num_threads(1)
    home = Home.find(folder / "home")
    for name in (SOURCE, TARGET):
        if name not in home.names("domains"):
            add_domain(home, name, f"builtin:{name}", 32)
    trained(home, folder, seeds, iterations)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    options = parser.parse_args()
    main(options.folder, options.seeds, options.iterations)
