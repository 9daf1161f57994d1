"""What must be equal for scores to compare: how they were measured, and of which networks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spaces.protocol import RECORD

_NETWORK = ("network/resolution", "network/width", "network/z_dim", "network/family")
_CLASSES, _FORM = "network/classes", "network/conditioning"
_MEASURED = tuple(
    name
    for name, fact in RECORD.items()
    if fact.must_agree and fact.of is None and name != "metric_seed"  # which z is chance
)


class Network(NamedTuple):
    """The networks of a bench."""

    resolution: int
    width: int
    z_dim: int
    family: str = "resnet"
    conditioning: str | None = None
    """How classes enter, whichever they are; None of an unconditional GAN. Their scores are no evidence for the other's."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any], pixels: int | None) -> "Network | None":
        """The networks of a row of the evaluations table; earlier versions had one family, and no conditions.

        Where images of so many pixels were made by other networks than a GAN's of z, or by none, nothing but the resolution
        is known; None where that is not known either.
        """
        if row[_NETWORK[0]] is None:
            return None if pixels is None else cls(pixels, 0, 0, "")
        resolution, width, z_dim, family = (row[name] for name in _NETWORK)
        return cls(resolution, width, z_dim, family or "resnet", row.get(_FORM) if row.get(_CLASSES) else None)

    @property
    def shape(self) -> "Network":
        """What a source model must agree in: its own classes don't matter."""
        return self._replace(conditioning=None)


class Bench(NamedTuple):
    """What must be equal for scores to compare across studies, whatever the arm and the budget."""

    metric: str
    measured: tuple[Any, ...]
    """The facts of a measurement that must agree, in the order of `spaces.protocol.RECORD`."""
    network: Network

    @classmethod
    def of_row(cls, metric: str, row: Mapping[str, Any], network: Network) -> "Bench":
        """That of a measurement, a row of the evaluations table."""
        return cls(metric, tuple(row[name] for name in _MEASURED), network)

    @property
    def facts(self) -> dict[str, Any]:
        """Those of `measured` by name."""
        return dict(zip(_MEASURED, self.measured, strict=True))

    @property
    def has_gans(self) -> bool:
        """Whether it is of GANs; else of trials without, where no GAN was trained beside them."""
        return bool(self.network.family)

    def compares(self, other: "Bench") -> bool:
        """Whether scores of the two compare but for the networks: how it was measured, and the resolution."""
        return (
            self._replace(network=self.network) == other._replace(network=self.network)
            and self.network.resolution == other.network.resolution
        )

    def about(self, images: int | None = None) -> str:
        """In a line; at a budget, if one is given."""
        facts, network = self.facts, self.network
        conditional = f", conditional by {network.conditioning}" if network.conditioning else ""
        family = "" if network.family == "resnet" else f"{network.family} "
        after = "" if images is None else f"after {images:,} images, "
        networks = f"{family}networks of {network.resolution} pixels and width {network.width}{conditional}"
        return (
            f"{self.metric} of {facts['n_fake']:,} samples against the {facts['split']} split in {facts['extractor']} features "
            f"at {facts['input_size']} pixels, {after}{networks if self.has_gans else f'{network.resolution} pixels'}"
        )
