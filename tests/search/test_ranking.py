import numpy as np

from search.ranking import rank_sources
from spaces.config import Network, Protocol
from trainables.domains import open_domain, write_domain
from trainables.home import Home
from trainables.networks import Generator, build_discriminator, build_generator, sample, set_standing_statistics
from trainables.sources import SourceModel, save_source

PROTOCOL = Protocol(metrics=("fd",), input_size=32, n_fake=64)


def shelved(home: Home, name: str, seed: int, like: SourceModel) -> Generator:
    """A source model of random weights, scaled so that its samples differ from another seed's."""
    network: Network = like.facts.network
    generator = build_generator(network, seed)
    generator.to_rgb.bias.data += seed  # its samples are the brighter, the larger the seed
    set_standing_statistics(generator)
    weights = {
        "generator": generator.state_dict(),
        "discriminator": build_discriminator(network, seed).state_dict(),
    }
    save_source(home.source(name), like.facts.model_dump(exclude={"digest"}) | {"name": name}, weights, b"png")
    return generator


def test_the_source_that_makes_the_targets_images_comes_first(home: Home, tiny_source: SourceModel) -> None:
    near, _ = shelved(home, "near", 0, tiny_source), shelved(home, "far", 2, tiny_source)
    images = sample(near, 80, seed=5).numpy()
    write_domain(home.domain("t"), images, np.zeros(80), np.zeros(80, bool), origin="test", resizer="none")
    ranking = rank_sources(home, open_domain(home, "t"), ["far", "near"], PROTOCOL)
    assert list(ranking) == ["near", "far"]
    assert 0 <= ranking["near"] < ranking["far"]
