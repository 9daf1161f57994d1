"""How like a target a source model is, before any training: each part measured, none judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spaces.counts import plural
from spaces.networks import StyleGAN2Config, classes_of
from spaces.protocol import Protocol
from spaces.records import Config
from trainables.images.domains import Domain, open_domain
from trainables.images.importing.decoding import resized
from trainables.images.samples import Samples
from trainables.machine.devices import best_device
from trainables.metrics.context import EvalContext
from trainables.metrics.distances import frechet_distance
from trainables.metrics.features import load_extractor
from trainables.metrics.manifolds import NEIGHBOURS, manifold_scores
from trainables.metrics.metrics import measure
from trainables.metrics.reference import reference, remembered
from trainables.networks.families import DISCRIMINATOR, GENERATOR
from trainables.networks.sampling import critic_logits, sample
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

_VERSION = 2
"""Of what is measured; parts that another version left are measured anew."""


_MANIFOLD = ("recall", "precision", "density", "coverage")

_CRITIC_IMAGES = 500
"""Of each kind, that a critic looks at."""


class Part(Config):
    """One way in which a source model is like the target, or not."""

    value: float | None
    """None if it can't be had; the note says why."""
    floor: float | None = None
    """What real images score in the source's place."""
    note: str | None = None


def distance_names(protocol: Protocol) -> tuple[str, str]:
    """What Frechet and kernel distance are called in the features of this protocol."""
    return protocol.named("fd"), protocol.named("kd")


def likeness(home: Home, target: Domain, source: SourceModel, protocol: Protocol) -> dict[str, Part]:
    """Every part by name; kept beside the target, so that a second call for the same data costs nothing.

    fd, kd (fid, kid in Inception features): distances of the source's samples to the target's images, as a trial's are.
    recall, precision, density, coverage: see `manifolds`, with equally many of both. domain_fd: Frechet distance between the
    source's own domain and the target, where that domain is in the home. critic: see `critic_score`. images, classes,
    images_per_class, images_seen, own_fd: the source's facts. Samples of another resolution are resized as domains' images
    are (`decoding.RESIZER`); what would need the source's domain or critic at the target's is left out then.
    """
    facts = source.facts
    own, why_not = _own_domain(home, source)
    if facts.network.resolution != target.facts.resolution:
        own, why_not = None, f"it has {facts.network.resolution} pixels, the target {target.facts.resolution}"
    measured_with = protocol.model_dump(exclude={"metrics", "iw"})
    depends_on = [_VERSION, target.facts.digest, facts.digest, own and own.facts.digest, measured_with]

    def compute() -> dict[str, Any]:
        with torch.inference_mode():
            parts = _Comparison(home, target, source, protocol, own).parts(why_not)
        return {name: part.model_dump() for name, part in parts.items()}

    found: dict[str, Any] = remembered(target.path, f"likeness-{facts.name}", depends_on, compute, dict)
    return {name: Part.parse(part, name) for name, part in found.items()} | _facts(source, distance_names(protocol)[0])


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A source model's samples beside the target's images."""

    home: Home
    target: Domain
    source: SourceModel
    protocol: Protocol
    own: Domain | None

    def parts(self, why_no_domain: str | None) -> Mapping[str, Part]:
        model = self.source.model()
        generator = model.network(GENERATOR)
        device = best_device()
        names = distance_names(self.protocol)
        drawn = sample(generator.to(device), self.protocol.n_fake, self.protocol.seed)
        size = self.target.facts.resolution
        context = EvalContext(
            samples=Samples(drawn if drawn.shape[-1] == size else torch.from_numpy(resized(drawn.numpy(), size))),
            domain=self.target,
            domain_folder=self.target.path,
            protocol=self.protocol.model_copy(update={"metrics": names}),
            extractor=load_extractor(self.protocol.extractor, self.protocol.input_size, self.home, device),
        )
        parts = compared(context)
        parts[f"domain_{names[0]}"] = self._domain_distance(context, why_no_domain, parts[names[0]].floor)
        if DISCRIMINATOR not in model.networks:
            return parts | {"critic": Part(value=None, note="it has no critic")}
        if drawn.shape[-1] != size:
            return parts | {"critic": Part(value=None, note=why_no_domain)}
        if isinstance(self.source.facts.network, StyleGAN2Config) and classes_of(self.source.facts.network):
            return parts | {"critic": Part(value=None, note="its critic is told an image's class, and knows no other")}
        return parts | {"critic": self._critic(model.network(DISCRIMINATOR).to(device), context, why_no_domain)}

    def _domain_distance(self, context: EvalContext, why_not: str | None, floor: float | None) -> Part:
        """Of as many images of the source's domain as the source makes, for the distance falls with their count."""
        if self.own is None:
            return Part(value=None, floor=floor, note=why_not)
        if self.own.facts.train < 2:
            return Part(value=None, floor=floor, note=f"its domain {self.own.facts.name!r} has 1 training image")
        protocol, wanted = self.protocol, len(context.generated)
        assert context.extractor is not None, "a context of distances has one"
        theirs = reference(self.own, self.own.path, context.extractor, "train", wanted, protocol.seed)
        few = (
            f"of {theirs.moments.n:,} images, so above what {wanted:,} would give"
            if theirs.moments.n < wanted
            else None
        )
        return Part(value=frechet_distance(theirs.moments, context.reference.moments), floor=floor, note=few)

    def _critic(self, critic: nn.Module, context: EvalContext, why_not: str | None) -> Part:
        rows = context.rows(self.protocol.split)[:_CRITIC_IMAGES]
        samples = _logits(critic, context.generated[:_CRITIC_IMAGES])
        if not samples.std() > 0:
            return Part(value=None, note="the critic gives all samples one score")
        own = None
        if self.own is not None:
            real = self.own.subset(None, self.protocol.seed)[:_CRITIC_IMAGES]
            own = critic_score(_logits(critic, self.own.images[real]), samples)
        return Part(value=critic_score(_logits(critic, self.target.images[rows]), samples), floor=own, note=why_not)


def critic_score(images: NDArray[np.float64], samples: NDArray[np.float64]) -> float:
    """How much more real than its own generator's samples a critic finds images, in standard deviations of the samples.

    A Wasserstein critic's scores have neither zero nor unit, so those of two critics compare only like this. `images` and
    `samples` are its logits, (n,) and (m,). As a floor it is given the images of the critic's own domain: images of a
    target that score like them look to the critic like what it was trained on; far above as well as far below, it has no
    idea. So it has no good direction, and ranks nothing.
    """
    return float((images.mean() - samples.mean()) / samples.std())


def _logits(critic: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    logits: NDArray[np.float64] = critic_logits(critic, torch.from_numpy(np.array(images))).cpu().numpy()
    return logits


def compared(context: EvalContext) -> dict[str, Part]:
    """The parts by images alone: distances, by the context's metrics, and neighbourhoods."""
    values = measure(context).values
    distances = {
        name: Part(value=_finite(values[name]), floor=_finite(values[f"{name}_floor"]))
        for name in context.protocol.metrics
    }
    return distances | _manifold_parts(context)


def _manifold_parts(context: EvalContext) -> dict[str, Part]:
    """Of equally many images on every side: generated, real, and real ones held out for the floor."""
    n = context.manifold_n
    if n <= NEIGHBOURS:
        note = f"{plural(n, 'image')} of each kind; it needs {NEIGHBOURS + 1} at least"
        return {name: Part(value=None, note=note) for name in _MANIFOLD}
    scores = manifold_scores(context.reference.features[:n], context.features[:n])

    def floor() -> dict[str, float]:
        return dict(manifold_scores(*context.manifold_floor_features))

    depends_on = [_VERSION, context.domain.facts.digest, context.protocol.seed, *context.feature_space, n]
    floors: dict[str, float] = remembered(context.domain_folder, "manifold-floor", depends_on, floor, dict)
    return {name: Part(value=scores[name], floor=floors[name]) for name in _MANIFOLD}


def _own_domain(home: Home, source: SourceModel) -> tuple[Domain | None, str | None]:
    """The domain that the source model was trained on, if the home has it, else why not."""
    facts = source.facts
    if facts.domain not in home.names("domains"):
        return None, f"its domain {facts.domain!r} is not in the home"
    domain = open_domain(home, facts.domain)
    if facts.images is None:
        return None, f"how many images of domain {facts.domain!r} it was trained on is not known"
    if (domain.facts.train, domain.facts.resolution) != (facts.images, facts.network.resolution):
        return None, (
            f"domain {facts.domain!r} of the home is another than its own: {plural(domain.facts.train, 'training image')} of "
            f"{domain.facts.resolution} pixels, not {facts.images:,} of {facts.network.resolution}"
        )
    return domain, None


def _facts(source: SourceModel, distance: str) -> dict[str, Part]:
    facts = source.facts
    own, floor = facts.scores.get(distance), facts.scores.get(f"{distance}_floor")
    unknown = None if facts.images else "not known"
    return {
        "images": Part(value=facts.images, note=unknown),
        "classes": Part(value=facts.classes),
        "images_per_class": Part(value=facts.images_per_class, note=unknown),
        "images_seen": Part(value=facts.images_seen or None, note=None if facts.images_seen else "not known"),
        f"own_{distance}": Part(value=own, floor=floor, note=None if own is not None else "it was never scored so"),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
