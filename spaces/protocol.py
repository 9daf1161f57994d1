"""The fact sheet of what is measured: every metric, and every fact without which a measurement compares with nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

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
    features: Literal["inception", "other", "any"]
    """Whose features it compares: the 2015 Inception network's, which alone make a FID or KID, any other's, or either's."""
    is_ratio: bool = False
    """Whether it is positive with a true zero, so that two scores compare by their quotient."""
    is_negative: bool = False
    """Whether it rises towards zero, and hardly ever passes it."""
    held_out: bool = False
    """Whether it needs images that the trial never saw, and comes with a standard error."""
    by_class: bool = False
    """Whether it compares class by class: it needs labels, and is measured at a trial's end alone."""
    by_count: bool = False
    """Whether it depends on how many images are drawn, without being carried on to the protocol's count as Frechet distances are:
    by a rung's few it comes out worse, so only scores of equally many compare."""
    without_features: bool = False
    """Whether it goes by pixels alone, whatever the extractor."""
    maps_of: str | None = None
    """The network whose maps it compares whatever the extractor; None for the extractor's own features."""
    beside: str | None = None
    """What is measured with it to hold it against, in a word, of a metric of translations."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What is measured of it: the metric and its floor, and the standard errors of both where it has them.

        Of a metric of translations it is the metric and what it is held against: its floor is 0.
        """
        if self.beside:
            return self.name, f"{self.name}_{self.beside}"
        both = (self.name, f"{self.name}_floor")
        return (*both, f"{self.name}_se", f"{self.name}_floor_se") if self.held_out else both

    def labelled(self, extractor: str) -> "Metric":
        """The metric as readers of a study meet it, in the features of this extractor."""
        return replace(self, label=self.label.format(extractor))

    def judge(self, extractor: str) -> str | None:
        """The network whose features it compares where a protocol has this extractor; None if it goes by pixels alone."""
        return None if self.without_features else self.maps_of or extractor

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


LITE0 = "efficientnet_lite0"
"""The extractor of most studies, whose network some metrics take whatever the extractor."""

METRICS: Mapping[str, Metric] = {
    "fid": Metric("fid", "FID", "minimize", "inception", is_ratio=True),
    "fd": Metric("fd", "FD ({})", "minimize", "other", is_ratio=True),
    "kid": Metric("kid", "KID", "minimize", "inception"),
    "kd": Metric("kd", "KD ({})", "minimize", "other"),
    "iw": Metric("iw", "IW", "maximize", "any", is_negative=True, held_out=True, by_count=True),
    "copy_rate": Metric("copy_rate", "copy rate", "minimize", "any", held_out=True),
    "intra_diversity": Metric(
        "intra_diversity", "intra-cluster diversity", "maximize", "any", maps_of=LITE0, by_count=True
    ),
    "class_accuracy": Metric("class_accuracy", "class accuracy", "maximize", "any", held_out=True, by_class=True),
    "mkd": Metric("mkd", "mean KD of classes ({})", "minimize", "any", by_class=True),
    "feature_diversity": Metric(
        "feature_diversity", "feature diversity", "maximize", "any", by_class=True, maps_of=LITE0
    ),
    "pair_error": Metric("pair_error", "pair error", "minimize", "any", beside="untranslated", without_features=True),
    "content_shift": Metric("content_shift", "content shift", "minimize", "any", beside="unrelated", maps_of=LITE0),
}
"""FID and KID mean the 2015 Inception features; with any other extractor the same arithmetic is called FD and KD. IW is
negative, and nearer zero is better. The floor of class accuracy, what real images have, is its ceiling."""

SECONDS = "seconds"
"""What a trial costs, where a search goes by that too: wall time, evaluation included."""

GOALS: Mapping[str, Metric] = {**METRICS, SECONDS: Metric(SECONDS, "seconds of a trial", "minimize", "any")}
"""What a search can go by."""

MOST_GOALS = 3
"""That a search goes by at once: of more, nearly every trial would be on the front."""


@dataclass(frozen=True)
class Fact:
    """One of the facts that a measurement records of itself: a column of the evaluations table."""

    kind: type
    words: str
    """What it is called in a report."""
    must_agree: bool = False
    """Whether scores of two studies compare only where it is equal; counts of real images differ from target to target."""
    of: str | None = None
    """The one metric that it is a fact of; scores by others compare whatever it is."""


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
    "iw_protocol": Fact(str, "protocol of IW", must_agree=True, of="iw"),
    "iw_n": Fact(int, "held-out images for IW and copy rate", of="iw"),
    "copy_n": Fact(int, "training images, and mirror images of them, that copies are looked for among", of="copy_rate"),
    "pair_n": Fact(int, "held-out pictures with a true pair", of="pair_error"),
    "content_n": Fact(int, "translations whose content is compared", of="content_shift"),
    "floor_n": Fact(int, "real images for the floor"),
    "intra_n": Fact(int, "training images that clusters lie around", must_agree=True, of="intra_diversity"),
    "intra_floor_n": Fact(int, "unseen real images for the floor of intra-cluster diversity", of="intra_diversity"),
    "empty_clusters": Fact(int, "clusters with fewer than two samples", of="intra_diversity"),
    "class_n": Fact(int, "held-out images for class accuracy", of="class_accuracy"),
    "class_chance": Fact(float, "class accuracy of guessing", of="class_accuracy"),
    "class_judged": Fact(int, "samples judged for class accuracy: of classes of held-out images", of="class_accuracy"),
    "mkd_classes": Fact(int, "classes in the mean of KD", of="mkd"),
    "diversity_classes": Fact(int, "classes in the mean of feature diversity", of="feature_diversity"),
}
"""What a measurement says of itself; None for what no metric of its protocol used."""


SHOT_FREE = "shot-free train"
"""The `split` of rows whose trial is given K images of each class: these are among no real images that it is compared with. They
are in rows of earlier versions, which say "train"; such scores do not compare."""

EARLIER_IW = "one critic on pixels"
"""The `iw_protocol` of rows that have an IW and name none: one WGAN-GP critic, trained on half of the images."""


class IwProtocol(Config):
    """Independent critics, cross-fitted on features of held-out images: numbers compare only if all of this is equal.

    `benchmarks/judging/iw_power.py` measures what they tell apart.
    """

    folds: int = Field(default=10, ge=4)
    """A critic is fitted to all folds but two, for each two; of fewer images than that there are as many folds as images."""
    partitions: PositiveInt = 3
    """How often images are parted into folds anew."""
    ridge: PositiveFloat = 1.0
    """How much critics are smoothed: the variance that kernel ridge regression takes for noise."""
    held_out: int = Field(default=500, ge=4)
    """Held-out images at most; critics take time by the cube of it and of `n_fake`, which is cut to twice as many."""
    seed: NonNegativeInt = 0

    @model_validator(mode="before")
    @classmethod
    def _without_earlier_settings(cls, data: Any) -> Any:
        """Specs and trials of earlier versions say how their one critic was trained: rows measured from now on name ours."""
        earlier = {"width", "steps", "batch", "lr", "penalty", "images"}
        if isinstance(data, Mapping) and earlier & data.keys():
            return {name: value for name, value in data.items() if name == "seed"}
        return data

    @property
    def name(self) -> str:
        """In a record, so that numbers of two protocols are never taken for each other's."""
        return f"critics on features, {self.partitions} x {self.folds} folds, ridge {self.ridge:g}, seed {self.seed}"


class Protocol(Config):
    """How trials are measured. Metrics compare only between equal protocols."""

    metrics: tuple[str, ...] = ("fd", "kd", "iw", "copy_rate")
    """The first is the one that the search goes by."""
    extractor: str = LITE0
    """The network whose features are compared: efficientnet_lite0, inception (of fid and kid) or random_convnet (untrained)."""
    input_size: PositiveInt = 64
    """Pixels along a side at the extractor's input; 299 for inception."""
    split: Literal["train", "val"] = "train"
    """The split of the domain that FD, KD, FID and KID compare with, whole, whatever `target_images` is."""
    n_real: PositiveInt = 10_000
    """Real images at most; the same ones always (seeded)."""
    n_fake: PositiveInt = 1_000
    n_rung: PositiveInt | None = None
    """Images that are drawn at a rung, which is an evaluation before the last: there a search's own metrics alone are measured,
    and a Frechet distance is carried on from so many images to `n_fake`. None measures everything of `n_fake` images at every
    evaluation, as earlier versions did."""
    at_rungs: PositiveInt = 1
    """How many metrics are measured at a rung, the first ones: those that the search goes by."""
    seed: NonNegativeInt = 0
    """Of the samples' z, of KD's subsets, and of the choice of real images."""
    iw: IwProtocol = IwProtocol()

    def with_classes(self) -> Self:
        """The same with the metrics that compare class by class, last."""
        added = tuple(name for name, metric in METRICS.items() if metric.by_class and name not in self.metrics)
        return self.model_copy(update={"metrics": (*self.metrics, *added)})

    def without_classes(self) -> Self:
        """The same without the metrics that compare class by class."""
        kept = tuple(name for name in self.metrics if not METRICS[name].by_class)
        return self if kept == self.metrics else self.model_copy(update={"metrics": kept})

    def named(self, features: str) -> str:
        """What the distance "fd" or "kd" is called in this protocol's features: "fid" and "kid" in Inception's."""
        return features.replace("d", "id") if self.extractor == "inception" else features

    @model_validator(mode="after")
    def _names_fit_the_extractor(self) -> Self:
        if not self.metrics:
            raise ValueError("metrics is empty; name at least one of " + ", ".join(METRICS))
        if self.metrics[0] in METRICS and METRICS[self.metrics[0]].by_class:
            raise ValueError(f"{self.metrics[0]} is measured at a trial's end alone; name a metric to go by before it")
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
