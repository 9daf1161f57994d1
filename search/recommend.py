"""Which source models look near a target, before any training."""

from collections.abc import Sequence

from spaces.config import Protocol
from trainables.devices import best_device
from trainables.distances import Moments, frechet_distance
from trainables.domains import Domain
from trainables.features import load_extractor
from trainables.home import Home
from trainables.networks import Generator, sample
from trainables.reference import reference
from trainables.sources import open_source


def rank_sources(home: Home, target: Domain, sources: Sequence[str], protocol: Protocol) -> dict[str, float]:
    """The paper's selector (section 4.5): the Frechet distance between samples of a source GAN and the target's images.

    Returns {source model: distance}, nearest first. It needs neither the source's data nor training; of the paper's four
    targets it picked the best source for three.
    """
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, best_device())
    real = reference(target, target.path, extractor, protocol.split, protocol.n_real, protocol.seed)
    distances = {}
    for name in sources:
        source = open_source(home, name)
        generator = Generator(source.facts.network)
        generator.load_state_dict(source.weights()["generator"])
        samples = sample(generator, protocol.n_fake, protocol.seed)
        distances[name] = frechet_distance(Moments.of(extractor(samples)), real.moments)
    return dict(sorted(distances.items(), key=lambda item: item[1]))
