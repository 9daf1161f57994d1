"""Measures what IW and copy rate tell apart at few held-out images, and what they cost.

    python -m benchmarks.judging.iw_power TARGET OTHER --home HOME --scratch MODEL --transferred MODEL ...

TARGET and OTHER are domains of the home, of one resolution; MODEL is a folder as a trial leaves it (`trials/N/model`).
Its trial trained on the first `--target-images` images of TARGET by seed 0; IW holds `--held-out` images of the others
out, several disjoint sets of them. Printed, with process seconds: scores of real images and of the models; the scatter
over disjoint sets (of real images and of samples) beside the standard error stated; how many standard errors lie between
scratch and the best transferred; and rank correlations with degradations of known order.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from spaces.protocol import Protocol
from trainables.images.domains import Domain, open_domain
from trainables.metrics.copies import copy_rate
from trainables.metrics.features import load_extractor
from trainables.metrics.iw import Estimate, independent_wasserstein
from trainables.networks.models import read_model
from trainables.networks.sampling import ZSampler
from trainables.storage.home import Home

Images = NDArray[np.uint8]
Features = Mapping[str, NDArray[np.float32]]

SAMPLES = 1000


def degraded(real: Images, labels: NDArray[np.int64], other: Images, trained: Images) -> dict[str, dict[str, Images]]:
    """Ladders of degradations of real images, each from the mildest to the worst."""
    rng = np.random.default_rng(0)
    classes = np.unique(labels)
    kept = sorted({max(1, round(len(classes) * share)) for share in (0.8, 0.5, 0.2)}, reverse=True)
    place = np.arange(len(real))
    blurred = {f"blur {s}": gaussian_filter(real.astype(float), (0, 0, s, s)) for s in (0.5, 1, 2)}
    noisy = {f"noise {s}": real + rng.normal(0, s, real.shape) for s in (10, 25, 60)}
    return {
        "blur": {name: images.round().clip(0, 255).astype(np.uint8) for name, images in blurred.items()},
        "noise": {name: images.round().clip(0, 255).astype(np.uint8) for name, images in noisy.items()},
        "classes kept": {f"classes {k}": real[np.isin(labels, classes[:k])] for k in kept},
        "other domain": {
            f"other {share}%": np.concatenate([other, real])[place + len(other) - len(real) * share // 100]
            for share in (25, 50, 100)
        },
        "copies of few": {f"copies of {k}": trained[place % k] for k in (len(trained), 64, 16, 4)},
    }


def main(given: argparse.Namespace) -> None:
    """Measure and print it all."""
    torch.set_num_threads(1)
    home, protocol = Home.find(given.home), Protocol()
    domain, other = open_domain(home, given.target), open_domain(home, given.other)
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, torch.device("cpu"))
    sets = _sets(domain, other, given)
    ladders = {name: list(ladder) for name, ladder in sets.items()}
    features = {name: extractor(images) for ladder in sets.values() for name, images in ladder.items()}
    for part in ("trained", "real", "models"):
        del ladders[part]
    parts = np.split(features["held out"][: given.sets * given.held_out], given.sets)
    print(f"{domain.facts.name}: {given.held_out} held-out images, {given.sets} disjoint sets; {protocol.iw.name}\n")
    _scores(["real", *sets["models"]], features, parts, protocol)
    for name, ladder in ladders.items():
        steps = ["real", *ladder]
        found = [independent_wasserstein(parts[0], features[step], protocol.iw) for step in steps]
        rho = -float(spearmanr(range(len(steps)), [one.value for one in found]).statistic)
        words = ", ".join(f"{step} {_words(one)}" for step, one in zip(steps, found, strict=True))
        print(f"{name}: rank correlation {rho:.2f} ({words})", flush=True)


def _sets(domain: Domain, other: Domain, given: argparse.Namespace) -> dict[str, dict[str, Images]]:
    trained = domain.subset(given.target_images, seed=0)
    unseen = np.setdiff1d(np.arange(len(domain.images)), trained)
    unseen = np.random.default_rng(0).permutation(unseen)
    wanted = given.sets * given.held_out
    held_out, rest = unseen[:wanted], unseen[wanted:][:SAMPLES]
    if len(rest) < SAMPLES // 4:
        raise SystemExit(f"{len(unseen)} unseen images; fewer --sets or --held-out leave more to degrade")
    models = {path: ZSampler(read_model(Path(path))[0])(SAMPLES, 0).images.numpy() for path in _models(given)}
    real = domain.images[rest]
    foreign = other.images[other.subset(len(rest), seed=0)]
    return {
        "trained": {"trained": domain.images[trained], "held out": domain.images[held_out]},
        "real": {"real": real},
        "models": models,
        **degraded(real, domain.labels[rest], foreign, domain.images[trained]),
    }


def _models(given: argparse.Namespace) -> list[str]:
    return [given.scratch, *given.transferred]


def _scores(names: list[str], features: Features, parts: list[NDArray[np.float32]], protocol: Protocol) -> None:
    """A line a set of samples: IW over disjoint held-out sets and halves of the samples, then from all samples."""
    whole: dict[str, list[Estimate]] = {}
    for name in names:
        start = time.process_time()
        whole[name] = [independent_wasserstein(part, features[name], protocol.iw) for part in parts]
        seconds = (time.process_time() - start) / len(parts)
        chunks = np.array_split(features[name], len(parts))  # no image in two estimates
        apart = [independent_wasserstein(*pair, protocol.iw) for pair in zip(parts, chunks, strict=True)]
        scatter, stated = np.std([one.value for one in apart], ddof=1), np.sqrt(np.mean([one.se**2 for one in apart]))
        start = time.process_time()
        copies, floor = copy_rate(features[name], parts[0], features["trained"], protocol.iw)
        print(
            f"{name}: IW {', '.join(map(_words, whole[name]))}; {seconds:.1f} s each; of {len(chunks[0])} samples "
            f"scatter {scatter:.4f}, stated {stated:.4f}; copy rate {_words(copies)}, floor {_words(floor)}, "
            f"{time.process_time() - start:.1f} s",
            flush=True,
        )
    real, scratch, *transferred = names
    best = max(transferred, key=lambda name: float(np.mean([one.value for one in whole[name]])))
    pairs = zip(whole[best], whole[scratch], strict=True)
    apart = [(one.value - two.value) / np.hypot(one.se, two.se) for one, two in pairs]
    print(f"scratch to {best}: {', '.join(f'{value:.1f}' for value in apart)} standard errors")
    floors = [one.value / one.se for one in whole[real]]
    print(f"floor: {', '.join(f'{value:.1f}' for value in floors)} standard errors from zero\n")


def _words(one: Estimate) -> str:
    return f"{one.value:.3f} ± {one.se:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("other")
    parser.add_argument("--home", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--transferred", nargs="+", required=True)
    parser.add_argument("--target-images", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=150)
    parser.add_argument("--sets", type=int, default=5)
    main(parser.parse_args())
