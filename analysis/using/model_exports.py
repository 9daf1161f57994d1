"""A trial's model in forms that others take: safetensors, ONNX, or a folder for a hub."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.using.model_card import GRID, model_card
from analysis.using.provenance import Provenance, provenance
from analysis.using.winner import chosen, model_of
from spaces.errors import lookup
from trainables.storage.home import Home, writing_folder
from trainables.storage.places import new_folder

ABOUT = "about.json"
"""Where the model is from, in every export."""
CONFIG = "config.json"
"""The configuration of the trial that made it."""
ONNX = "model.onnx"


@dataclass(frozen=True)
class Exported:
    """A trial's model that is being exported."""

    home: Home
    path: Path
    """Where it lies."""
    about: Provenance


def export_model(home: Home, study: str, folder: Path, form: str = "safetensors") -> None:
    """Write the model of STUDY's best trial, or of STUDY:TRIAL, as a new folder in a form of FORMS, whole or not at all.

    UserError for an unknown form, a folder that is there, a trial that left no model, or what a form can't hold.
    """
    write = lookup(FORMS, "format", form)
    paths, spec, trial = chosen(home, study)
    path = model_of(paths, spec.name, trial)
    new_folder(folder)
    with writing_folder(folder) as beside:
        exported = Exported(home, path, provenance(home, paths, spec, trial))
        write(exported, beside)
        (beside / ABOUT).write_text(exported.about.model_dump_json(indent=1) + "\n", encoding="utf-8")


def copy_model(path: Path, folder: Path) -> None:
    """Write a trial's model to a folder: its networks, `model.json`, and the trial's `config.json`."""
    from trainables.networks.models import read_model, write_model

    model, facts = read_model(path)
    write_model(folder, model, method=facts.method, config=facts.config)
    (folder / CONFIG).write_text(json.dumps(facts.config, indent=1) + "\n")


def _safetensors(exported: Exported, folder: Path) -> None:
    copy_model(exported.path, folder)


def _onnx(exported: Exported, folder: Path) -> None:
    """`model.onnx`, whose metadata have licence and provenance too, and the trial's `config.json`."""
    from trainables.images.domains import read_facts
    from trainables.methods.registry import method_of
    from trainables.networks.models import read_model
    from trainables.using.onnx_files import write_onnx

    about = exported.about
    model, facts = read_model(exported.path)
    sampler = method_of(facts.method).sampler(model)
    translated = None if about.from_noise else read_facts(exported.home.domain(about.target)).resolution
    metadata = {"licence": " and ".join(about.licences), "about": about.model_dump_json()}
    write_onnx(sampler, folder / ONNX, metadata, translated)
    (folder / CONFIG).write_text(json.dumps(facts.config, indent=1) + "\n")


def _hub(exported: Exported, folder: Path) -> None:
    """What safetensors has, a model card and a grid."""
    from trainables.using.drawing import write_grid

    copy_model(exported.path, folder)
    grid = write_grid(exported.home, folder, folder / GRID)
    (folder / "README.md").write_text(model_card(exported.about, *_told(folder), grid=grid), encoding="utf-8")


def _told(folder: Path) -> tuple[str, int | None]:
    """What the model's networks are, and how many pixels its images have; None where they have as many as its inputs."""
    from spaces.networks import told
    from trainables.networks.families import GENERATOR
    from trainables.networks.models import read_model

    networks = read_model(folder)[0].networks
    if GENERATOR not in networks:
        return "no network, the source's images as they are", None
    return told(networks[GENERATOR]), getattr(networks[GENERATOR], "resolution", None)


FORMS: Mapping[str, Callable[[Exported, Path], None]] = {"safetensors": _safetensors, "onnx": _onnx, "hub": _hub}
