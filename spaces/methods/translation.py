"""What the settings of methods that take a source domain's images have in common, and of those that translate them."""

from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spaces.config import SCRATCH, TrialConfig
from spaces.networks import Translator
from spaces.records import Config, Name


class DomainConfig(TrialConfig):
    """A trial whose `source` is a domain of the home: its images are used, and no source model."""

    @property
    def domains(self) -> tuple[Name, ...]:
        return (self.source,)

    @model_validator(mode="after")
    def _needs_a_domain(self) -> Self:
        if self.source == SCRATCH:
            raise ValueError(
                f"method {self.method!r} takes the images of a domain, and source 'scratch' is none; name one"
            )
        if self.source == self.target:
            raise ValueError(f"method {self.method!r} takes two domains: source and target are both {self.target!r}")
        return self


class TranslationConfig(DomainConfig):
    """One that makes target images of that domain's."""


class SeveralDomainsConfig(TranslationConfig):
    """One of several source domains at once, of which `source` is scored."""

    beside: tuple[Name, ...] = ()
    """Further domains of the home that train along, each other and source and target."""

    @property
    def domains(self) -> tuple[Name, ...]:
        return (self.source, *self.beside)

    @model_validator(mode="after")
    def _names_each_domain_once(self) -> Self:
        every = [self.target, *self.domains]
        if twice := [name for name in every if every.count(name) > 1]:
            raise ValueError(f"domain {twice[0]!r} is named twice, of target, source and beside; name each once")
        return self


class Training(Config):
    """How translators and their critics train. The paper takes batches of 1 and half of the time to let the rate fall."""

    lr: PositiveFloat = 2e-4
    """Adam's rate of all networks."""
    beta1: NonNegativeFloat = 0.5
    beta2: PositiveFloat = 0.999
    batch: PositiveInt = 4
    """Images of each domain in an iteration."""
    constant: float = Field(default=0.5, ge=0, le=1)
    """The share of the budget after which the rate falls linearly, to 0 at its end; 1 keeps it."""
    ema_halflife_images: PositiveInt = 1_000
    """Half-life of the translator's moving average, in target images; ramped up over the first images of a run."""
    flip: bool = False
    """Mirror half of the real images of either domain. Right for photos, wrong for letters and icons."""


class PooledTraining(Training):
    """With critics that see earlier translations too."""

    pool: NonNegativeInt = 50
    """Earlier translations that a critic sees beside the newest ones, half of the time; 0 shows it the newest alone."""


class LearnedTranslationConfig(TranslationConfig):
    """A translator that is trained against a critic of patches."""

    translator: Translator = Translator()
    training: Training = Training()

    @property
    def batch(self) -> int:
        return self.training.batch

    @property
    def mirrors(self) -> bool:
        return self.training.flip


class PooledTranslationConfig(LearnedTranslationConfig):
    """One whose critics see earlier translations too."""

    training: PooledTraining = PooledTraining()
