"""What is measured, against what, and how: images with the features that metrics share, extracted at first use."""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spaces.protocol import SHOT_FREE, Protocol
from trainables.images.domains import Domain, Split
from trainables.images.samples import Samples
from trainables.metrics import translations
from trainables.metrics.by_class import MOST as MOST_LABELLED
from trainables.metrics.by_class import Labelled, classes_compared
from trainables.metrics.diversity import CENTRES, Diversity, Embed, embedding, intra_cluster, within_classes
from trainables.metrics.features import Extractor, content_maps
from trainables.metrics.iw import Estimate
from trainables.metrics.reference import (
    Reference,
    extract,
    features_of,
    once,
    reference,
    remembered,
    rows_compared,
    trained_features,
)


@dataclass(frozen=True, eq=False)
class EvalContext:
    """What is measured, against what, and how. The metrics share features, extracted at first use."""

    samples: Samples
    """What is scored."""
    domain: Domain
    domain_folder: Path
    """Where moments and floors are kept, in its `moments`."""
    protocol: Protocol
    extractor: Extractor | None
    """None if no metric needs features."""
    trained_on: NDArray[np.int64] | None = None
    """Rows of the domain that the samples' trial trained on; None for its whole training split."""
    left_out: NDArray[np.int64] | None = None
    """Rows that are among no real images that samples are compared with: of a trial that is given K images of each class."""
    mirrors: bool = False
    """Whether the samples' trial mirrors images, and so has trained on the mirror images of what it trained on."""

    @cached_property
    def generated(self) -> NDArray[np.uint8]:
        """The generated images, (n, 3, R, R): n_fake, or fewer at a rung."""
        return self.samples.images.numpy()

    @cached_property
    def reference(self) -> Reference:
        """The real images that generated ones are compared with."""
        protocol = self.protocol
        return reference(
            self.domain,
            self.domain_folder,
            self._extractor,
            protocol.split,
            protocol.n_real,
            protocol.seed,
            self.left_out,
        )

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Of the generated images, (n, d)."""
        return self._extractor(self.generated)

    @cached_property
    def floor_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of real images in the place of generated ones, `floor_n` of them, and of the real images they compare with.

        They are of the split that the reference is not of. Where it has fewer than were generated, the last of the
        reference make up for it, at most half, and are left out there: distances fall with the count, so a floor of
        fewer images would lie above what a generator can reach.
        """
        held_out, real = self.rows(self.other_split)[: self.floor_n], self.reference.features
        stay = len(real) - (self.floor_n - len(held_out))
        return np.concatenate([extract(self._extractor, self.domain, held_out), real[stay:]]), real[:stay]

    @cached_property
    def pair_error(self) -> translations.PairError:
        """Of the samples to true pairs that the domain holds out."""
        return translations.pair_error(self.samples, self.domain)

    @cached_property
    def content_shift(self) -> translations.ContentShift:
        """Of the samples to what they translate."""
        maps, real = partial(content_maps, device=self._extractor.device), self.rows("train")[: translations.MOST]
        return translations.content_shift(self.samples, self.domain.images[real], maps)

    @property
    def n_scored(self) -> int:
        """Of how many generated images the scores are: all, or at a rung what distances are carried on to."""
        return len(self.generated) if self.protocol.n_rung is None else self.protocol.n_fake

    @property
    def floor_n(self) -> int:
        """As many real images as were generated, or as near as the domain allows."""
        return min(self.n_scored, len(self.rows(self.other_split)) + len(self.reference.features) // 2)

    @property
    def manifold_n(self) -> int:
        """Images of each side for neighbourhoods, whose measures grow with the count of either: of the reference, generated,
        and held out. Where the other split has too few to hold out, the reference gives half of what is missing.
        """
        real = len(self.reference.features)
        return min(len(self.generated), real, (real + len(self.rows(self.other_split))) // 2)

    @property
    def manifold_floor_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the reference, and of real images in the place of generated ones, `manifold_n` of each and none in both."""
        n, real = self.manifold_n, self.reference.features
        held_out = extract(self._extractor, self.domain, self.rows(self.other_split)[:n])
        return real[:n], np.concatenate([held_out, real[len(real) - (n - len(held_out)) :]])

    @cached_property
    def held_out_rows(self) -> NDArray[np.int64]:
        """Of images that the trial never saw, `protocol.iw.held_out` at most: validation images first, then training images
        beyond those that it trained on.
        """
        return self._unseen_rows[: self.protocol.iw.held_out]

    @property
    def _unseen_rows(self) -> NDArray[np.int64]:
        train = self.rows("train")
        unseen = train[:0] if self.trained_on is None else train[~np.isin(train, self.trained_on)]
        return np.concatenate([self.rows("val"), unseen])

    @cached_property
    def held_out_features(self) -> NDArray[np.float32]:
        """Of these images, (len(held_out_rows), d)."""
        return self.features_of(self.held_out_rows)

    @cached_property
    def labelled(self) -> Labelled | None:
        """The generated images by class; None of a generator without classes."""
        asked = self.samples.labels
        return None if asked is None else Labelled(self.features, asked.numpy())

    @cached_property
    def labelled_reference(self) -> Labelled:
        """The real images that generated ones are compared with, by class."""
        protocol = self.protocol
        rows = rows_compared(self.domain, protocol.split, protocol.n_real, protocol.seed, self.left_out)
        return Labelled(self.reference.features, self.domain.labels[rows])

    @cached_property
    def classes_compared(self) -> list[int]:
        """The classes that mean KD and its floor are both means over: with 2 images or more generated, real and held out.

        Where the other split holds out no class so, there is no floor, and the other two decide.
        """
        real, held_out = self.labelled_reference.labels, self.domain.labels[self.rows(self.other_split)]
        sides = [real] if self.labelled is None else [real, self.labelled.labels]
        return classes_compared(*sides, held_out) or classes_compared(*sides)

    @cached_property
    def labelled_held_out(self) -> Labelled:
        """Images that the trial never saw, by class: more of them than are held out for IW."""
        rows = self._unseen_rows[:MOST_LABELLED]
        return Labelled(self.features_of(rows), self.domain.labels[rows])

    @cached_property
    def trained_rows(self) -> NDArray[np.int64]:
        """Of images that the trial trained on, `protocol.n_real` at most."""
        rows = self.rows("train") if self.trained_on is None else self.trained_on
        return rows[: self.protocol.n_real]

    @cached_property
    def trained_features(self) -> NDArray[np.float32]:
        """Of these images, and of their mirror images where the trial saw those too."""
        protocol, where = self.protocol, (self.domain, self.domain_folder, self._extractor)
        return trained_features(*where, self.trained_rows, protocol.n_real, protocol.seed, mirrors=self.mirrors)

    @cached_property
    def diversity(self) -> Diversity:
        """Of generated images around those trained on."""
        return intra_cluster(self._embed(self.generated), self._embed(self.domain.images[self._centre_rows]))

    @property
    def diversity_floor(self) -> float:
        """Of real images in their place; nan of none."""
        rows, around, images = self.diversity_floor_rows, self._centre_rows, self.domain.images

        def floor() -> float:
            return (
                intra_cluster(self._embed(images[rows]), self._embed(images[around])).value if len(rows) else math.nan
            )

        return self.once("intra-diversity-floor", floor, rows.tolist(), around.tolist())

    @property
    def diversity_floor_rows(self) -> NDArray[np.int64]:
        """Of images that the trial never saw, as many as were generated, or as there are: then more clusters are empty, and their
        diversity is too low beside that of the generated.
        """
        return self._unseen_rows[: len(self.generated)]

    @property
    def _centre_rows(self) -> NDArray[np.int64]:
        return self.trained_rows[:CENTRES]

    @cached_property
    def class_diversity(self) -> tuple[float, int]:
        """Of generated images class by class, and of how many classes; nan and 0 of a generator without classes."""
        asked = self.samples.labels
        return (math.nan, 0) if asked is None else within_classes(self._embed, self.generated, asked.numpy())

    @property
    def class_diversity_floor(self) -> float:
        """Of real images that the trial never saw."""
        rows = self._unseen_rows[:MOST_LABELLED]
        images, labels = self.domain.images, self.domain.labels
        return self.once(
            "feature-diversity-floor", lambda: within_classes(self._embed, images[rows], labels[rows])[0], rows.tolist()
        )

    @property
    def _embed(self) -> Embed:
        return embedding(self.extractor.device if self.extractor else torch.device("cpu"))

    @cached_property
    def spare_rows(self) -> NDArray[np.int64]:
        """Of real images that stand in the place of generated ones where others are held out: as many, or as there are."""
        rows = self.rows("train")
        return rows[~np.isin(rows, self.held_out_rows)][: len(self.generated)]

    def features_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of the domain's images at `rows`, (len(rows), d); those that earlier evaluations needed are kept."""
        protocol = self.protocol
        return features_of(self.domain, self.domain_folder, self._extractor, rows, protocol.n_real, protocol.seed)

    def rows(self, split: Split) -> NDArray[np.int64]:
        """The rows of a split, in the order that the protocol's seed gives."""
        return self.domain.subset(None, self.protocol.seed, split)

    def once(self, name: str, compute: Callable[[], float], *depends_on: object) -> float:
        """`compute()`, a number that no trial changes: kept beside the domain for all to come."""
        return once(self.domain_folder, name, [self.domain.facts.digest, self.protocol.seed, *depends_on], compute)

    def estimated_once(self, name: str, compute: Callable[[], Estimate], *depends_on: object) -> Estimate:
        """As `once`, for a number with its standard error, of the images held out from this trial."""
        extractor, rows = self._extractor, [part.tolist() for part in (self.held_out_rows, self.spare_rows)]
        about = [self.domain.facts.digest, extractor.digest, extractor.input_size, extractor.resizer, rows, *depends_on]
        found = remembered(
            self.domain_folder, name, about, lambda: list(astuple(compute())), lambda kept: [float(x) for x in kept]
        )
        return Estimate(*found)

    @property
    def feature_space(self) -> tuple[object, ...]:
        """What a distance between this domain's own images depends on, apart from their choice."""
        extractor = self._extractor
        size = extractor.input_size
        space = extractor.digest, size, extractor.resizer, self.protocol.split, len(self.reference.features)
        return space if self.left_out is None else (*space, sorted(self.left_out.tolist()))

    @property
    def split(self) -> str:
        """What the reference is of, in a record."""
        split = self.protocol.split
        return SHOT_FREE if split == "train" and self.left_out is not None else split

    @property
    def _extractor(self) -> Extractor:
        assert self.extractor is not None, f"{self.protocol.metrics=} need an extractor"
        return self.extractor

    @property
    def other_split(self) -> Split:
        """The split that the reference is not of."""
        return "val" if self.protocol.split == "train" else "train"
