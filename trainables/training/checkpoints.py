"""What a trial leaves on disk, and how it comes back: the last two checkpoints, and the last model.

Checkpoints are written in turn into two slots, so while one is written the other is whole. A slot that is damaged counts
as empty: the trial then goes on from the evaluation before, or anew.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.plain_json import parse_json
from spaces.trials import parse_trial_json
from trainables.networks.models import Model, write_model
from trainables.storage.home import fetch, writing
from trainables.storage.weights import dump_tensors, read_about, read_tensors, write_tensors
from trainables.training.learner import Learner
from trainables.training.loop import Evaluation
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles


def save(learner: Learner, files: TrialFiles, history: Sequence[Evaluation], config: TrialConfig) -> None:
    """Write the model, then the checkpoint: learner state, config and history in one file, renamed into place.

    A diverged trial keeps the model of the evaluation before, if there was one.
    """
    state = learner.state_dict()
    about = {"config": config.model_dump_json(), "history": json.dumps([item.as_dict() for item in history])}
    if history[-1].status != "diverged":
        _write(learner.model(), files.model, config)
    with writing(files.slots[len(history) % 2]) as beside:
        write_tensors(state, beside, about | {"digest": _digest(state, about)})


def make_good(learner: Learner, files: TrialFiles, history: Sequence[Evaluation], config: TrialConfig) -> None:
    """Write the model of a restored learner where it is missing: a process was killed while it took the old one's place."""
    if history[-1].status != "diverged" and not files.model.is_dir():
        _write(learner.model(), files.model, config)


def _write(model: Model, folder: Path, config: TrialConfig) -> None:
    write_model(folder, model, method=config.method, config=config.model_dump(mode="json"))


def restore(learner: Learner, files: TrialFiles, config: TrialConfig) -> tuple[list[Evaluation], str | None]:
    """Load the newest whole checkpoint into `learner`; gives its evaluations, and a word on one that was damaged.

    No evaluations where there is no whole one. UserError if it is another config's.
    """
    damaged: list[str] = []
    for path in _newest_first(files):
        if (read := _read(path)) is None:
            damaged.append(path.name)
            continue
        state, about = read
        if parse_trial_json(about["config"], str(path)) != config:
            raise UserError(f"{path} is of another configuration; remove it, and the trial starts again")
        learner.load_state_dict(state)
        history = _history(about)
        return history, _note(damaged, f"went on from {history[-1].images_seen:,} images")
    return [], _note(damaged, "started anew")


def together(learner: Learner, history: list[Evaluation], group: Group) -> list[Evaluation]:
    """Give all workers the first one's state and history, so that they start as one."""
    if group.size == 1:
        return history
    state = group.from_first(dump_tensors(learner.state_dict()) if group.rank == 0 else b"")
    about = group.from_first(json.dumps([item.as_dict() for item in history]).encode())
    if group.rank > 0:
        learner.load_state_dict(safetensors.torch.load(state))
    return _history({"history": about.decode()})


def _note(damaged: Sequence[str], then: str) -> str | None:
    return f"{' and '.join(damaged)} damaged: {then}" if damaged else None


def recorded(files: TrialFiles) -> list[Evaluation]:
    """The evaluations that a trial's newest whole checkpoint holds; none if there is none."""
    fetch(files.folder)
    whole = next(filter(None, map(_read, _newest_first(files))), None)
    return _history(whole[1]) if whole else []


def recorded_config(files: TrialFiles) -> TrialConfig | None:
    """The config that a trial's newest whole checkpoint was trained with; None if there is no such checkpoint."""
    fetch(files.folder)
    whole = next(filter(None, map(_read, _newest_first(files))), None)
    return parse_trial_json(whole[1]["config"], str(files.folder)) if whole else None


def last_state(files: TrialFiles) -> dict[str, Tensor]:
    """The learner's state in a trial's newest whole checkpoint; UserError if there is none."""
    fetch(files.folder)
    whole = next(filter(None, map(_read, _newest_first(files))), None)
    if not whole:
        raise UserError(f"there is no whole checkpoint in {files.folder}; run the same command again")
    return whole[0]


def forget_fallback(files: TrialFiles) -> None:
    """Remove all but the newest checkpoint, once the trial is through."""
    for path in _newest_first(files)[1:]:
        path.unlink(missing_ok=True)


def _newest_first(files: TrialFiles) -> list[Path]:
    """The slots that are filled, by the evaluations in their headers; those whose header can't be read come first."""
    evaluations = {path: _evaluations(path) for path in files.slots if path.is_file()}
    return sorted(evaluations, key=lambda path: evaluations[path], reverse=True)


def _evaluations(path: Path) -> float:
    try:
        return len(_history(read_about(path)))
    except (UserError, KeyError, ValueError, TypeError):
        return math.inf


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """State and facts of a checkpoint; None if it is missing, torn, or not what was written."""
    try:
        state, about = read_tensors(path)
    except UserError:
        return None
    digest = about.pop("digest", None)
    return (state, about) if digest == _digest(state, about) else None


def _digest(state: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 over all that a checkpoint holds."""
    digest = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _history(about: Mapping[str, str]) -> list[Evaluation]:
    return [Evaluation(**item) for item in parse_json(about["history"], finite=False)]
