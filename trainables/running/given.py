"""What a trial has at hand, gathered from the home by its config."""

from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from trainables.images.domains import Domain, open_domain
from trainables.methods.method import Given
from trainables.sources.shelf import SourceFacts, open_source
from trainables.storage.home import Home


def gather(config: TrialConfig, home: Home) -> Given:
    """The target, the source, and the images that the source was trained on; UserError if target or source is not there."""
    target = open_domain(home, config.target)
    if config.source == SCRATCH:
        return Given(target)
    source = open_source(home, config.source)
    return Given(target, source, _images_of(source.facts, home))


def _images_of(source: SourceFacts, home: Home) -> Domain | None:
    """The domain of that name, where the home has one that can be read."""
    if source.domain not in home.names("domains"):
        return None
    try:
        return open_domain(home, source.domain)
    except UserError:
        return None
