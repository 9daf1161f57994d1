"""Source models: trained GANs with the facts that a user picks by, as safetensors and JSON, and the shelf they lie on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from spaces.config import SCRATCH, Config, Name, Network
from spaces.errors import UserError
from trainables.networks.resnet import build_discriminator, build_generator
from trainables.storage.home import Home, check_name, fetch, remove, writing_folder
from trainables.storage.weights import read_tensors, write_tensors

BUILTIN = Path(__file__).parent / "builtin"
"""Small source models of builtin domains that ship with the package; `benchmarks/builtin_sources.py` makes them."""

PARTS = ("generator", "discriminator")
FACTS = "source.json"
SAMPLES = "samples.png"


class SourceError(UserError):
    """A source model that can't be had or can't be trusted."""


class SourceFacts(Config):
    """What a user picks a source model by, and what proves that the files are the ones meant."""

    name: Name
    network: Network
    domain: str
    """The domain it was trained on."""
    images: PositiveInt
    """Training images of that domain."""
    classes: PositiveInt
    images_per_class: PositiveFloat
    """Density, in the paper's words."""
    images_seen: NonNegativeInt
    """Real images shown to its critic in training; 0 if not known."""
    scores: dict[str, float | None]
    """Its own metrics on its own domain, by name."""
    protocol: dict[str, str | int | float | None]
    """What the scores were measured with."""
    origin: str
    """How it came here: the training configuration or the files it was made from."""
    digest: str
    """SHA-256 over both weight files."""
    created: str


@dataclass(frozen=True)
class SourceModel:
    """A source model on disk: `generator.safetensors`, `discriminator.safetensors`, `source.json`, `samples.png`."""

    facts: SourceFacts
    path: Path

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Both networks' tensors, {"generator": {...}, "discriminator": {...}}; SourceError unless the digest fits."""
        fetch(self.path)
        found = weights_digest(self.path)
        if found != self.facts.digest:
            raise SourceError(
                f"source model {self.facts.name!r}: the weights in {self.path} have digest {found[:12]}, source.json says "
                f"{self.facts.digest[:12]}; they were changed or damaged, so add the model again"
            )
        return {part: read_tensors(self.path / f"{part}.safetensors")[0] for part in PARTS}


def weights_digest(folder: Path) -> str:
    """SHA-256 over both weight files of a source model's folder."""
    digest = hashlib.sha256()
    for part in PARTS:
        try:
            digest.update((folder / f"{part}.safetensors").read_bytes())
        except OSError as error:
            raise SourceError(f"{folder / f'{part}.safetensors'} can't be read ({error.strerror})") from None
    return digest.hexdigest()


def shelf(home: Home) -> dict[str, Path]:
    """Every source model by name: the home's, and the builtin ones that no name of the home hides."""
    builtin = {path.name: path for path in BUILTIN.iterdir() if path.is_dir()} if BUILTIN.is_dir() else {}
    return dict(sorted((builtin | {name: home.source(name) for name in home.names("sources")}).items()))


def open_source(home: Home, name: str) -> SourceModel:
    """The source model of that name; SourceError that lists the known ones, or says what its facts lack."""
    known = shelf(home)
    if name not in known:
        raise SourceError(f"unknown source model {name!r} in {home}; known: {', '.join(known) or 'none yet'}")
    facts = known[name] / FACTS
    fetch(facts)
    try:
        return SourceModel(SourceFacts.parse(json.loads(facts.read_text()), str(facts)), known[name])
    except (OSError, ValueError) as error:
        raise SourceError(f"source model {name!r}: {facts} can't be read ({error}); add the model again") from None


def check_new(home: Home, name: str, *, replace: bool) -> None:
    """SourceError if `name` can't be given to a new source model."""
    check_name("source model", name)
    if name == SCRATCH:
        raise SourceError("a source model can't be called 'scratch': that means random weights")
    if name in home.names("sources") and not replace:
        raise SourceError(f"source model {name!r} is there already in {home}; replace it with --replace")


def save_source(
    path: Path, facts: Mapping[str, object], weights: Mapping[str, Mapping[str, Tensor]], samples_png: bytes
) -> SourceFacts:
    """Write a source model's folder, whole or not at all; the digest is filled in. Returns its facts."""
    with writing_folder(path) as beside:
        for part in PARTS:
            write_tensors(weights[part], beside / f"{part}.safetensors")
        complete = SourceFacts.parse({**facts, "digest": weights_digest(beside)}, f"source model {path.name!r}")
        (beside / FACTS).write_text(complete.model_dump_json(indent=1) + "\n")
        (beside / SAMPLES).write_bytes(samples_png)
    return complete


def remove_source(home: Home, name: str) -> None:
    """Delete a source model of the home; SourceError if it is not there, or builtin."""
    path = home.source(name)
    if name not in home.names("sources"):
        where = "comes with the package and can't be removed" if name in shelf(home) else f"is not in {home}"
        raise SourceError(f"source model {name!r} {where}; there: {', '.join(home.names('sources')) or 'none'}")
    fetch(path / FACTS)
    remove(path)


def check_fits(weights: Mapping[str, Mapping[str, Tensor]], network: Network, where: str) -> None:
    """SourceError that names the first tensor which is missing, surplus or of another shape than `network` has."""
    expected = {"generator": build_generator(network, seed=0), "discriminator": build_discriminator(network, seed=0)}
    for part, module in expected.items():
        ours, theirs = module.state_dict(), weights[part]
        for name in sorted(ours.keys() | theirs.keys()):
            there = tuple(theirs[name].shape) if name in theirs else "not there"
            here = tuple(ours[name].shape) if name in ours else "not known"
            if there != here:
                raise SourceError(
                    f"{where}: {part}.{name} is {there} in the file, {here} in a network of {network.resolution} pixels, "
                    f"width {network.width}, z {network.z_dim}; give the right --resolution, --width, --z-dim, or a key map"
                )


def export_source(source: SourceModel, folder: Path) -> None:
    """Copy a source model, checked against its digest, to a folder that need not be in a home."""
    if folder.exists():
        raise SourceError(f"{folder} is there already; give a folder that is not")
    save_source(
        folder, source.facts.model_dump(exclude={"digest"}), source.weights(), (source.path / SAMPLES).read_bytes()
    )
