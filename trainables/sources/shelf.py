"""Source models: trained GANs with the facts that a user picks by, as safetensors and JSON, and the shelf they lie on."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from spaces.config import SCRATCH
from spaces.errors import UserError
from spaces.networks import AnyNetwork, NetworkConfig, told
from spaces.records import Config, Name
from trainables.networks.families import DISCRIMINATOR, FAMILIES, GENERATOR, empty_network
from trainables.networks.models import FACTS as MODEL_FACTS
from trainables.networks.models import Model, read_model
from trainables.storage.home import Home, check_name, fetch, remove, writing_folder
from trainables.storage.json_files import read_json
from trainables.storage.places import new_folder
from trainables.storage.weights import read_tensors, write_tensors

BUILTIN = Path(__file__).parent / "builtin"
"""Small source models of builtin domains that ship with the package; `benchmarks/making/builtin_sources.py` makes them."""

NO_LICENCE = "not known"
"""Of a source model of which nobody said what its licence is."""
_ORIGIN = 120
"""Letters of an origin that are shown."""

FACTS = "source.json"
SAMPLES = "samples.png"


class SourceError(UserError):
    """A source model that can't be had or can't be trusted."""


class SourceFacts(Config):
    """What a user picks a source model by, and what proves that the files are the ones meant."""

    name: Name
    networks: dict[str, NetworkConfig]
    """Its networks by name, the generator first; one without a critic is a source too."""
    domain: str
    """The domain it was trained on."""
    images: PositiveInt | None
    """Training images of that domain; None if not known."""
    classes: PositiveInt
    images_per_class: PositiveFloat | None
    """Density, in the paper's words; None if not known."""
    images_seen: NonNegativeInt
    """Real images shown to its critic in training; 0 if not known."""
    scores: dict[str, float | None]
    """Its own metrics on its own domain, by name."""
    protocol: dict[str, str | int | float | None]
    """What the scores were measured with."""
    origin: str
    """How it came here: the training configuration or the files it was made from."""
    licence: str | None = None
    """What its owner allows, in a word or two ("MIT"); None if nobody said."""
    class_names: tuple[str, ...] = ()
    """What the classes of a conditional model are called, by label; none where they have no names, or there are none."""
    digest: str
    """SHA-256 over both weight files."""
    created: str

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, data: Any) -> Any:
        """They had one config for both networks."""
        if isinstance(data, Mapping) and "network" in data:
            rest = {name: value for name, value in data.items() if name != "network"}
            return {"networks": dict.fromkeys((GENERATOR, DISCRIMINATOR), data["network"]), **rest}
        return data

    @model_validator(mode="after")
    def _has_a_generator(self) -> Self:
        if next(iter(self.networks), None) != GENERATOR:
            raise ValueError(f"networks are {', '.join(self.networks) or 'none'}; a generator comes first")
        return self

    @property
    def network(self) -> AnyNetwork:
        """The generator's config."""
        return self.networks[GENERATOR]

    @property
    def provenance(self) -> str:
        """ "licence MIT; added from faces.pt", cut to a line."""
        return f"licence {self.licence or NO_LICENCE}; {self.short_origin}"

    @property
    def short_origin(self) -> str:
        """The origin without the configuration of a training, cut to a line."""
        said = self.origin.partition(": {")[0]
        return said if len(said) <= _ORIGIN else f"{said[:_ORIGIN]}..."


@dataclass(frozen=True)
class SourceModel:
    """A source model on disk: NAME.safetensors for each of its networks, `source.json`, `samples.png`."""

    facts: SourceFacts
    path: Path

    def model(self) -> Model:
        """Its networks with their weights; SourceError unless the digest fits."""
        return Model(self.facts.networks, self.weights(), self.facts.class_names)

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Its networks' tensors, {"generator": {...}, "discriminator": {...}}; SourceError unless the digest fits."""
        fetch(self.path)
        found = weights_digest(self.path, self.facts.networks)
        if found != self.facts.digest:
            raise SourceError(
                f"source model {self.facts.name!r}: the weights in {self.path} have digest {found[:12]}, source.json says "
                f"{self.facts.digest[:12]}; they were changed or damaged, so add the model again"
            )
        return {part: read_tensors(self.path / f"{part}.safetensors")[0] for part in self.facts.networks}


def weights_digest(folder: Path, networks: Iterable[str]) -> str:
    """SHA-256 over the weight files of a source model's folder, in the order of its networks."""
    digest = hashlib.sha256()
    for part in networks:
        try:
            digest.update((folder / f"{part}.safetensors").read_bytes())
        except OSError as error:
            raise SourceError(f"{folder / f'{part}.safetensors'} can't be read ({error.strerror})") from None
    return digest.hexdigest()


def shelf(home: Home) -> dict[str, Path]:
    """Every source model by name: the home's, and the builtin ones that no name of the home hides."""
    return dict(sorted((builtin() | {name: home.source(name) for name in home.names("sources")}).items()))


def builtin() -> dict[str, Path]:
    """The source models that ship with the package, by name."""
    return {path.name: path for path in BUILTIN.iterdir() if path.is_dir()} if BUILTIN.is_dir() else {}


def open_source(home: Home, name: str) -> SourceModel:
    """The source model of that name; SourceError that lists the known ones, or says what its facts lack."""
    known = shelf(home)
    if name not in known:
        raise SourceError(f"unknown source model {name!r} in {home}; known: {', '.join(known) or 'none yet'}")
    facts = known[name] / FACTS
    fetch(facts)
    try:
        return SourceModel(SourceFacts.parse(read_json(facts), str(facts)), known[name])
    except (OSError, ValueError) as error:
        raise SourceError(f"source model {name!r}: {facts} can't be read ({error}); add the model again") from None


def check_new(home: Home, name: str, *, replace: bool, may_hide: bool = False) -> None:
    """SourceError if `name` can't be given to a new source model: a builtin one's with `replace` or `may_hide` alone."""
    check_name("source model", name)
    if name == SCRATCH:
        raise SourceError("a source model can't be called 'scratch': that means random weights")
    if name in home.names("sources") and not replace:
        raise SourceError(f"source model {name!r} is there already in {home}; replace it with --replace")
    if name in builtin() and not (replace or may_hide):
        raise SourceError(
            f"source model {name!r} comes with the package; take another name, or hide it in this home with --replace"
        )


def save_source(path: Path, facts: Mapping[str, object], model: Model, samples_png: bytes) -> SourceFacts:
    """Write a source model's folder, whole or not at all; networks and digest are filled in. Returns its facts."""
    networks = {name: config.model_dump() for name, config in model.networks.items()}
    with writing_folder(path) as beside:
        for name in networks:
            write_tensors(model.weights[name], beside / f"{name}.safetensors")
        filled = {**facts, "networks": networks, "class_names": model.class_names}
        filled["digest"] = weights_digest(beside, networks)
        complete = SourceFacts.parse(filled, f"source model {path.name!r}")
        (beside / FACTS).write_text(complete.model_dump_json(indent=1) + "\n")
        (beside / SAMPLES).write_bytes(samples_png)
    return complete


@dataclass(frozen=True)
class OwnModel:
    """A model in a folder that this house exported, and what is known of its training."""

    model: Model
    about: Mapping[str, object]


def own_model(path: Path) -> OwnModel | None:
    """The model in a folder of `sources export` or `export`; None if it is no such folder.

    UserError if its files are not whole. Of a study's export nothing is known of the images: its target's name alone.
    """
    if (path / FACTS).is_file():
        try:
            facts = SourceFacts.parse(read_json(path / FACTS), str(path / FACTS))
        except (OSError, ValueError) as error:
            raise SourceError(f"{path / FACTS} can't be read ({error}); export the source model again") from None
        kept = {"domain", "images", "classes", "images_seen", "licence"}
        return OwnModel(SourceModel(facts, path).model(), facts.model_dump(include=kept))
    if not (path / MODEL_FACTS).is_file():
        return None
    model, about = read_model(path)
    if strange := [network.family for network in model.networks.values() if network.family not in FAMILIES]:
        raise SourceError(
            f"{path} holds a model of family {strange[0]!r}; a source model is a {' or a '.join(FAMILIES)}"
        )
    networks = {name: model.networks[name] for name in (GENERATOR, DISCRIMINATOR) if name in model.networks}
    target = about.config.get("target")
    return OwnModel(replace(model, networks=networks), {"domain": target} if isinstance(target, str) else {})


def remove_source(home: Home, name: str) -> None:
    """Delete a source model of the home; SourceError if it is not there, or builtin."""
    path = home.source(name)
    if name not in home.names("sources"):
        where = "comes with the package and can't be removed" if name in shelf(home) else f"is not in {home}"
        raise SourceError(f"source model {name!r} {where}; there: {', '.join(home.names('sources')) or 'none'}")
    fetch(path / FACTS)
    remove(path)


def check_fits(model: Model, where: str) -> None:
    """SourceError that names the first tensor which is missing, surplus or of another shape than its network has."""
    for part, network in model.networks.items():
        ours, theirs = empty_network(part, network).state_dict(), model.weights[part]
        for name in sorted(ours.keys() | theirs.keys()):
            there = tuple(theirs[name].shape) if name in theirs else "not there"
            here = tuple(ours[name].shape) if name in ours else "not known"
            if there != here:
                raise SourceError(
                    f"{where}: {part}.{name} is {there} in the file, {here} in a {told(network)}; give the right --family, "
                    "--resolution, --width, --z-dim, or a key map"
                )


def check_finite(model: Model, where: str) -> None:
    """SourceError that names the first tensor with a value that is no finite number: whatever is trained from it diverges."""
    for part, weights in model.weights.items():
        for name, tensor in weights.items():
            if tensor.is_floating_point() and (bad := int((~tensor.isfinite()).sum())):
                raise SourceError(
                    f"{where}: {part}.{name} has {bad:,} of {tensor.numel():,} values that are NaN or infinite; give weights "
                    "from before the training diverged"
                )


def export_source(source: SourceModel, folder: Path) -> None:
    """Copy a source model, checked against its digest, to a folder that need not be in a home."""
    new_folder(folder)
    facts = source.facts.model_dump(exclude={"digest", "networks"})
    save_source(folder, facts, source.model(), (source.path / SAMPLES).read_bytes())
