"""The fact sheet of what is measured: every metric, and every fact without which a measurement compares with nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spaces.records import Config

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """What is known of a metric before anything is measured by it."""

    name: str
    label: str
    """As readers meet it; {} is where the extractor's name goes."""
    direction: Direction
    """Which way it gets better."""
    features: Literal["inception", "other"] | None = None
    """Whose features it compares: the 2015 Inception network's, which alone make a FID or KID, any other's, or none."""
    is_ratio: bool = False
    """Whether it is positive with a true zero, so that two scores compare by their quotient."""
    is_negative: bool = False
    """Whether it rises towards zero, and hardly ever passes it."""

    def labelled(self, extractor: str) -> "Metric":
        """The metric as readers of a study meet it, in the features of this extractor."""
        return replace(self, label=self.label.format(extractor))

    @property
    def sign(self) -> int:
        """1 where lower is better, -1 where higher is: `sign * value` is always a cost."""
        return 1 if self.direction == "minimize" else -1

    @property
    def goal(self) -> str:
        """Which way is better, in words."""
        if self.is_negative:
            return "nearer 0 is better"
        return "lower is better" if self.sign == 1 else "higher is better"


METRICS: Mapping[str, Metric] = {
    "fid": Metric("fid", "FID", "minimize", "inception", is_ratio=True),
    "fd": Metric("fd", "FD ({})", "minimize", "other", is_ratio=True),
    "kid": Metric("kid", "KID", "minimize", "inception"),
    "kd": Metric("kd", "KD ({})", "minimize", "other"),
    "iw": Metric("iw", "IW", "maximize", is_negative=True),
}
"""FID and KID mean the 2015 Inception features; with any other extractor the same arithmetic is called FD and KD. IW is
negative, and nearer zero is better."""


@dataclass(frozen=True)
class Fact:
    """One of the facts that a measurement records of itself: a column of the evaluations table."""

    kind: type
    words: str
    """What it is called in a report."""
    must_agree: bool = False
    """Whether scores of two studies compare only where it is equal; counts of real images differ from target to target."""


RECORD: Mapping[str, Fact] = {
    "extractor": Fact(str, "feature extractor", must_agree=True),
    "input_size": Fact(int, "pixels a side at the extractor", must_agree=True),
    "resizer": Fact(str, "resizer", must_agree=True),
    "split": Fact(str, "split compared with", must_agree=True),
    "n_real": Fact(int, "real images"),
    "n_fake": Fact(int, "generated images", must_agree=True),
    "n_drawn": Fact(int, "images drawn, of which distances are carried on to that many"),
    "metric_seed": Fact(int, "seed of the metrics", must_agree=True),
    "kd_subset": Fact(int, "images in a subset of KD"),
    "iw_n": Fact(int, "images of either kind for IW"),
    "floor_n": Fact(int, "real images for the floor"),
}
"""What a measurement says of itself; None for what no metric of its protocol used."""


class IwProtocol(Config):
    """The independent Wasserstein critic (Danihelka et al. 2017): numbers compare only if all of this is equal.

    The defaults cost 5 seconds of one core at 32 pixels. Of seven settings tried on cats against cats, dogs, insects,
    structures and noise they had the smallest floor beside the score of dogs; below about 0.2, either way, is nothing.
    """

    width: PositiveInt = 8
    steps: PositiveInt = 100
    batch: PositiveInt = 16
    lr: PositiveFloat = 5e-4
    penalty: PositiveFloat = 10.0
    images: PositiveInt = 1_000
    """Real and generated images each, at most, and at least 4; half train the critic and half score it."""
    seed: NonNegativeInt = 0


class Protocol(Config):
    """How trials are measured. Metrics compare only between equal protocols."""

    metrics: tuple[str, ...] = ("fd", "kd", "iw")
    """The first is the one that the search goes by."""
    extractor: str = "efficientnet_lite0"
    input_size: PositiveInt = 64
    """Pixels along a side at the extractor's input; 299 for inception."""
    split: Literal["train", "val"] = "train"
    """The split of the domain that FD, KD, FID and KID compare with, whole, whatever `target_images` is."""
    n_real: PositiveInt = 10_000
    """Real images at most; the same ones always (seeded)."""
    n_fake: PositiveInt = 1_000
    n_rung: PositiveInt | None = None
    """Images that are drawn at a rung, which is an evaluation before the last: there the first metric alone is measured, and a
    Frechet distance is carried on from so many images to `n_fake`. None measures everything of `n_fake` images at every
    evaluation, as earlier versions did."""
    seed: NonNegativeInt = 0
    """Of the samples' z, of KD's subsets, and of the choice of real images."""
    iw: IwProtocol = IwProtocol()

    def named(self, features: str) -> str:
        """What the distance "fd" or "kd" is called in this protocol's features: "fid" and "kid" in Inception's."""
        return features.replace("d", "id") if self.extractor == "inception" else features

    @model_validator(mode="after")
    def _names_fit_the_extractor(self) -> Self:
        if not self.metrics:
            raise ValueError("metrics is empty; name at least one of " + ", ".join(METRICS))
        for name in self.metrics:
            if name not in METRICS:
                raise ValueError(f"unknown metric {name!r}; known: {', '.join(METRICS)}")
            features = METRICS[name].features
            if features == "inception" and self.extractor != "inception":
                raise ValueError(
                    f"{name} needs extractor 'inception', not {self.extractor!r}; with it, ask for fd or kd"
                )
            if features == "other" and self.extractor == "inception":
                raise ValueError(f"with extractor 'inception' the metric is called {self.named(name)}, not {name}")
        return self
