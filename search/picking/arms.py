"""What a search chooses between before any number is tuned: which source is used, by which method, with which networks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spaces.config import SCRATCH, TrialConfig
from spaces.methods.finetune import fitting_transfer
from spaces.trials import CONFIGS, DEFAULT_METHOD, makes_images, trains

Rates = tuple[float, float]
"""Learning rates of generator and critic."""


class Arm(NamedTuple):
    """A way to a generator of the target. Evidence of all methods on one bench compares, arm by arm."""

    method: str
    source: str | None
    """A source model, or a source domain of a method that takes its images; None from scratch, with nothing transferred, and
    of a method that takes nothing from elsewhere."""
    parts: str
    """The networks transferred; "none" from scratch, and for a method that transfers none."""

    @classmethod
    def of(cls, config: TrialConfig) -> "Arm":
        """The arm that a trial of this config belongs to."""
        return cls._told_of(config.method, config.source, config.parts)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Arm":
        """The arm of a row of the evaluations table; earlier versions had no method but fine-tuning."""
        return cls._told_of(row["method"] or DEFAULT_METHOD, row["source"], row["transfer/parts"] or "none")

    @classmethod
    def _told_of(cls, method: str, source: str, parts: str) -> "Arm":
        if method == DEFAULT_METHOD and parts == "none":
            return SCRATCH_ARM
        return cls(method, None if source == SCRATCH else source, parts)

    @classmethod
    def finetuned(cls, source: str, parts: str) -> "Arm":
        """Fine-tuning from a source, with these of its networks transferred."""
        return cls(DEFAULT_METHOD, source, parts)

    @property
    def way(self) -> str:
        """How the source is used, in a word or two: the networks that are fine-tuned, or the method."""
        return self.parts if self.method == DEFAULT_METHOD else self.method.replace("_", " ")

    def __str__(self) -> str:
        """ "dogs (both)", "dogs (as is)", "mixture" or "scratch"."""
        if self == SCRATCH_ARM:
            return SCRATCH
        return self.way if self.source is None else f"{self.source} ({self.way})"

    def told(self) -> str:
        """What to do, after the verb: "from dogs, both transferred", "from dogs by cdc", "dogs as is", "mixture" or "from
        scratch".
        """
        if self == SCRATCH_ARM:
            return "from scratch"
        if self.method == DEFAULT_METHOD:
            return f"from {self.source}, {self.parts} transferred"
        if self.source is None:
            return f"from scratch by {self.way}" if self.is_trained else self.way
        return f"from {self.source} by {self.way}" if self.is_trained else f"{self.source} {self.way}"

    @property
    def makes_images(self) -> bool:
        """Whether it makes images; leaving the source's untranslated does not, and is there to be beaten."""
        return makes_images(self.method)

    @property
    def is_trained(self) -> bool:
        """Whether anything of it is trained."""
        return trains(self.method)


SCRATCH_ARM = Arm(DEFAULT_METHOD, None, "none")


def as_it_is(source: str) -> Arm:
    """A source model's generator, untouched."""
    return Arm("as_is", source, "none")


def trial_values(config: Mapping[str, Any], target: str, arm: Arm, rates: Rates | None) -> dict[str, Any]:
    """A config's values with target, arm and learning rates in place of its own, as far as the arm's method has them."""
    fields = CONFIGS[arm.method].model_fields
    values = {name: value for name, value in config.items() if name in fields}
    values |= {"method": arm.method, "target": target, "source": arm.source or SCRATCH}
    if rates and "optim" in fields:
        values["optim"] = {**values.get("optim", {}), "lr_g": rates[0], "lr_d": rates[1]}
    elif rates:  # of a method whose networks have one rate
        values["training"] = {**values.get("training", {}), "lr": rates[0]}
    if "beside" in values:  # domains that train along, of which neither may be one
        values["beside"] = [name for name in values["beside"] if name not in (target, arm.source)]
    if "transfer" in fields:
        values["transfer"] = fitting_transfer(values.get("transfer", {}), arm.parts)
    return values
