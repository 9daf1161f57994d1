"""Do the two images that CoGAN makes of one z show the same? python -m benchmarks.methods.coupled [--iterations 400]

The smallest test of METHODS 2.7: phosphor's regular and bold icons at 32 pixels, unpaired. Of each of 256 z both domains' images
are made, and the nearest real icon to either is looked up by features (EfficientNet-Lite0). `same name` is the share of z whose
two icons have one name; `pair error` is how far the bold image is from the bold form of the regular one's icon, as a share of a
pixel's range. Beside it the same of images of different z, which no coupling can tell; and of two GANs that share the first
layer alone (as many own blocks as there are), the baseline.
"""

import argparse
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.setting_up import add_builtin, learner_of
from spaces.config import TrialConfig
from spaces.protocol import Protocol
from spaces.trials import parse_trial
from trainables.images.domains import open_domain
from trainables.images.pixels import to_uint8
from trainables.machine.devices import use_cores
from trainables.methods.translation.cogan import CoganLearner
from trainables.metrics.features import Extractor, load_extractor
from trainables.metrics.manifolds import squared_distances
from trainables.networks.sampling import set_standing_statistics
from trainables.storage.home import Home

SOURCE, TARGET = "phosphor-regular", "phosphor-bold"
CPU = torch.device("cpu")
N = 256
Images = NDArray[np.uint8]


def config_of(own_blocks: int, seed: int) -> TrialConfig:
    """A trial of CoGAN whose domains have so many blocks of their own."""
    values = {
        "method": "cogan",
        "target": TARGET,
        "source": SOURCE,
        "seed": seed,
        "own_blocks": own_blocks,
        "data": {"target_images": 357},
    }
    return parse_trial(values | {"budget": {"images": 1, "eval_every_images": 1}}, "benchmark")


def made(home: Home, own_blocks: int, seed: int, iterations: int) -> tuple[Images, Images]:
    """The source's and the target's images of the same z, after so many iterations."""
    config = config_of(own_blocks, seed)
    learner, batches = learner_of(config, home)
    assert isinstance(learner, CoganLearner), f"{config.method=}"
    for _ in range(iterations):
        learner.step(next(batches))
    z = torch.randn(N, learner.config.z_dim, generator=torch.Generator().manual_seed(seed))
    found = []
    for name in ("source", "target"):
        generator = learner.gans[name].generator
        set_standing_statistics(generator)
        with torch.no_grad():
            found.append(to_uint8(generator.eval()(z)).numpy())
    return found[0], found[1]


def real_pairs(home: Home) -> tuple[Images, Images]:
    """Both domains' images of the icons that both have, in one order."""
    one, other = open_domain(home, SOURCE), open_domain(home, TARGET)
    places = {name: row for row, name in enumerate(other.names)}
    rows = [row for row, name in enumerate(one.names) if name in places]
    beside = [places[one.names[row]] for row in rows]
    return one.images[rows], other.images[beside]


def scores(extractor: Extractor, pairs: tuple[Images, Images], regular: Images, bold: Images) -> tuple[float, float]:
    """The share of images whose nearest icons have one name, and the error to the pair of the regular one's."""
    nearest = [
        squared_distances(extractor(images), extractor(real)).argmin(1)
        for images, real in zip((regular, bold), pairs, strict=True)
    ]
    error = np.abs(bold.astype(float) - pairs[1][nearest[0]]).mean() / 255
    return float((nearest[0] == nearest[1]).mean()), float(error)


def main() -> None:
    """Print a table in Markdown: means over seeds, and each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", help="[default: ~/.understock]")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    use_cores(1)
    home, protocol = Home.make(given.home), Protocol()
    add_builtin(home, SOURCE, TARGET)
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, CPU)
    pairs = real_pairs(home)
    print(f"{len(pairs[0])} icons: guessing the name is right in {1 / len(pairs[0]):.3f}\n")
    print(
        "| own blocks | seeds | same name, one z | other z | pair error, one z | other z |\n|---|---|---|---|---|---|"
    )
    for own_blocks in (1, 3):
        found = []
        for seed in range(given.seeds):
            regular, bold = made(home, own_blocks, seed, given.iterations)
            found.append(
                (*scores(extractor, pairs, regular, bold), *scores(extractor, pairs, regular, np.roll(bold, 1, 0)))
            )
        columns = [*zip(*found, strict=True)]
        cells = [f"{fmean(columns[n]):.3f} ({', '.join(f'{x:.3f}' for x in columns[n])})" for n in (0, 2, 1, 3)]
        print(f"| {own_blocks} | {given.seeds} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
