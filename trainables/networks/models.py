"""A model: networks by name, each with its family and config, and their weights; and what it is on disk.

A trial's result, a source's networks and an export are the same kind of thing: a folder with NAME.safetensors for each
network, and model.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.networks import AnyPart, ModelNetwork, classes_of
from spaces.plain_json import parse_json
from spaces.records import Config
from spaces.trials import DEFAULT_METHOD
from trainables.networks.families import GENERATOR, empty_network
from trainables.storage.home import file_digest, writing_folder
from trainables.storage.json_files import read_json
from trainables.storage.weights import read_tensors, write_tensors

FACTS = "model.json"


@dataclass(frozen=True, eq=False)
class Model:
    """Networks by name ("generator", "discriminator", ...) and their weights, tensors by name, on any device."""

    networks: Mapping[str, AnyPart]
    weights: Mapping[str, Mapping[str, Tensor]]
    class_names: tuple[str, ...] = ()
    """What a conditional model's classes are called, by label; none where they have no names, or there are none."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that a conditional model's classes go by, their numbers where they have none; () of another."""
        count = classes_of(self.networks[GENERATOR])
        return self.class_names or tuple(map(str, range(count or 0)))

    def network(self, name: str) -> nn.Module:
        """The network of that name with its weights, on the CPU, in eval mode."""
        module = empty_network(name, self.networks[name]).to_empty(device="cpu")
        module.load_state_dict(dict(self.weights[name]))
        return module.eval()


class ModelFacts(Config):
    """What model.json says: enough to build the networks and to sample them."""

    model_config = ConfigDict(extra="ignore")  # a later version may say more

    networks: dict[str, ModelNetwork]
    method: str = DEFAULT_METHOD
    """Whose sampler draws from it."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The configuration of the trial that made it; empty where none did."""
    class_names: tuple[str, ...] = ()
    """As the model's."""
    digests: dict[str, str] = Field(default_factory=dict)
    """The SHA-256 of each network's file."""


def write_model(folder: Path, model: Model, *, method: str, config: Mapping[str, Any]) -> None:
    """Write the model as a folder, whole or not at all, in place of any that is there."""
    with writing_folder(folder) as beside:
        digests = {}
        for name in model.networks:
            write_tensors(model.weights[name], beside / f"{name}.safetensors")
            digests[name] = file_digest(beside / f"{name}.safetensors")
        networks, names = dict(model.networks), model.class_names
        facts = ModelFacts(networks=networks, method=method, config=dict(config), class_names=names, digests=digests)
        (beside / FACTS).write_text(facts.model_dump_json(indent=1) + "\n")


def read_model(path: Path) -> tuple[Model, ModelFacts]:
    """The model in a folder, with its facts; or in the one file of a generator that earlier versions left.

    UserError if there is none, or if its files are not whole.
    """
    alone = path if path.suffix == ".safetensors" else path / f"{GENERATOR}.safetensors"
    if alone.is_file() and not (path / FACTS).exists():
        return _of_one_file(alone)
    try:
        facts = ModelFacts.parse(read_json(path / FACTS), str(path / FACTS))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} holds no model: {FACTS} can't be read ({error})") from None
    weights = {name: read_tensors(path / f"{name}.safetensors")[0] for name in facts.networks}
    for name, digest in facts.digests.items():
        if file_digest(path / f"{name}.safetensors") != digest:
            raise UserError(
                f"{path} is no whole model: {name}.safetensors is not the one that {FACTS} names; it was changed, or is being "
                "written: try again, or resume the study"
            )
    return Model(facts.networks, weights, facts.class_names), facts


def _of_one_file(path: Path) -> tuple[Model, ModelFacts]:
    tensors, about = read_tensors(path)
    try:
        network, config = parse_json(about["network"]), parse_json(about.get("config", "{}"))
    except (KeyError, ValueError):
        raise UserError(
            f"{path} does not say what network it is of; give the folder of a model, with its {FACTS}"
        ) from None
    facts = ModelFacts.parse({"networks": {GENERATOR: network}, "config": config}, str(path))
    return Model(facts.networks, {GENERATOR: tensors}), facts
