"""Does FUNIT translate into classes it has not seen? python -m benchmarks.methods.unseen_class --home HOME

The smallest test of METHODS 2.8, of models that `benchmarks.methods.fewshot_study run glyphs --arms funit --seeds 3` has trained:
icons of seen names are put into 50 unseen names, of which three images each are shown. `class accuracy` is that of the
study's metric, `content shift` how far feature maps are from the input's. Two trivial ways bound them: one of the three
images in the place of a translation (of the class, and nothing of the input), and the input as it is. A method must be above
the line between them: of more class than mixing the two ways would have at its content shift.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.fewshot_study import comparison
from search.records.study import StudyPaths
from spaces.protocol import Protocol
from trainables.images.domains import open_domain
from trainables.images.samples import Samples
from trainables.machine.devices import use_cores
from trainables.methods.registry import open_sampler
from trainables.methods.translation.translating import held_out_inputs
from trainables.metrics.by_class import Labelled, class_accuracy
from trainables.metrics.features import content_maps, load_extractor
from trainables.metrics.translations import content_shift
from trainables.storage.home import Home

CPU = torch.device("cpu")
TABLE = "glyphs"


def rows(home: Home, seed: int, number: int, n: int) -> Iterator[tuple[str, float, float]]:
    """What it is of, its class accuracy and its content shift: of both trivial ways and of the trial of that number."""
    target, source, protocol = open_domain(home, f"{TABLE}-unseen"), open_domain(home, TABLE), Protocol()
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, CPU)
    sampler = open_sampler(StudyPaths.of(home, f"fewshot-{TABLE}").trial(number) / "model")
    inputs = held_out_inputs(source, n, seed)
    translated = sampler(n, seed, inputs)
    shots = sampler.shots  # type: ignore[attr-defined]
    given = {shot.tobytes() for shot in shots.images.flatten(0, 1).numpy()}
    others = [row for row, image in enumerate(target.images) if image.tobytes() not in given]
    real = Labelled(extractor(target.images[others]), target.labels[others])
    of_class = (torch.arange(n) % len(shots.labels), np.random.default_rng(seed).integers(len(shots.images[0]), size=n))
    assert translated.labels is not None, "icons have names"
    ways: dict[str, Tensor] = {
        "one of the images shown": shots.images[of_class],
        "input as it is": inputs.images,
        "funit": translated.images,
    }
    for name, images in ways.items():
        samples = Samples(images, translated.labels, inputs=inputs.images, pictures=inputs.names)
        shift = content_shift(samples, target.images[others], partial(content_maps, device=CPU)).value
        asked = Labelled(extractor(images.numpy()), translated.labels.numpy())
        yield name, class_accuracy(asked, real, protocol.iw)[0].value, shift


def main() -> None:
    """Print a table in Markdown, a seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-n", type=int, default=500, help="translations")
    given = parser.parse_args()
    use_cores(1)
    home = Home.find(given.home)
    print("| seed | | class accuracy | content shift | above the line by |\n|---|---|---|---|---|")
    for number, (arm, seed) in enumerate(comparison(TABLE).plan()):
        if arm != "funit" or seed >= given.seeds:
            continue
        found = {name: scores for name, *scores in rows(home, seed, number, given.n)}
        (most, far), (least, _), (accuracy, shift) = found.values()
        above = accuracy - (least + (most - least) * shift / far)
        for name, (of_class, moved) in found.items():
            print(
                f"| {seed} | {name} | {of_class:.3f} | {moved:.3f} | {f'{above:+.3f}' if name == 'funit' else ''} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
