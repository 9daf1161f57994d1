"""How well a rung's few images tell what many would: python -m benchmarks.judging.rungs --home HOME

Every generator of the home, of its source models and of its studies' trials, is scored against the domain of its study (a
source model: against every domain of its resolution) by 1,000 images and, as at a rung, by 256 that are carried on to 1,000.
Printed: the ratio of the two, its spread, and the rank correlation over the generators of a domain, which is what a
scheduler lives by; the same for the distance of 256 images as it is.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from torch import nn

from search.launch import RUNG_IMAGES
from search.records.study import open_study
from spaces.protocol import Protocol
from trainables.images.domains import open_domain
from trainables.machine.devices import best_device
from trainables.metrics.distances import Moments, carry_of, frechet_distance, frechet_distance_at
from trainables.metrics.features import load_extractor
from trainables.metrics.reference import reference
from trainables.networks.families import GENERATOR
from trainables.networks.models import read_model
from trainables.networks.sampling import DRAFT, STANDING, sample, set_standing_statistics
from trainables.sources.shelf import open_source, shelf
from trainables.storage.home import Home

PROTOCOL = Protocol()


def generators(home: Home) -> Iterator[tuple[str, nn.Module]]:
    """Pairs of a domain's name and a generator to be scored against it."""
    for name in home.names("domains"):
        for source in (open_source(home, each) for each in shelf(home)):
            if source.facts.network.resolution == open_domain(home, name).facts.resolution:
                yield name, source.model().network(GENERATOR)
    for study in home.names("studies"):
        paths, spec = open_study(home, study)
        for folder in sorted(paths.trial(0).parent.glob("*/model")):
            yield spec.target, read_model(folder)[0].network(GENERATOR)


def measured(home: Home) -> dict[str, list[tuple[float, float, float]]]:
    """By domain, of each generator: the distance of 1,000 images, that of a rung, and that of its images as it is."""
    device = best_device()
    extractor = load_extractor(PROTOCOL.extractor, PROTOCOL.input_size, home, device)
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for name, generator in generators(home):
        domain = open_domain(home, name)
        known = reference(domain, domain.path, extractor, "train", PROTOCOL.n_real, PROTOCOL.seed)
        real, carry = known.moments, carry_of(known.features, RUNG_IMAGES, PROTOCOL.n_fake)
        generator.to(device)
        set_standing_statistics(generator, n=DRAFT)
        few = extractor(sample(generator, RUNG_IMAGES, PROTOCOL.seed))
        set_standing_statistics(generator, n=STANDING)
        many = extractor(sample(generator, PROTOCOL.n_fake, PROTOCOL.seed))
        whole, plain = (frechet_distance(Moments.of(features), real) for features in (many, few))
        found[name].append((whole, frechet_distance_at(few, real, carry), plain))
    return found


def show(home: Home) -> None:
    """Print a line a domain."""
    print(f"{'domain':20} generators  carried on / whole   rank correlation   as it is / whole   rank correlation")
    for name, rows in measured(home).items():
        whole, carried, plain = np.array(rows).T
        told = [
            f"{np.mean(few / whole):6.3f} +- {np.std(few / whole):.3f}      {spearmanr(few, whole)[0]:.3f}"
            for few in (carried, plain)
        ]
        print(f"{name:20} {len(rows):6}      {'           '.join(told)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, required=True)
    show(Home(parser.parse_args().home))
