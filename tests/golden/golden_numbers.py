"""What the golden test holds still: numbers of trainings, likeness and an old home, computed by today's code."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spaces.networks import Resnet
from spaces.trials import parse_trial
from trainables.images.domains import open_domain, write_domain
from trainables.machine.devices import use_cores
from trainables.methods.registry import open_sampler
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.models import Model
from trainables.networks.sampling import set_standing_statistics
from trainables.running import trial
from trainables.sources.likeness import likeness
from trainables.sources.shelf import open_source, save_source
from trainables.storage.home import Home
from trainables.training.checkpoints import last_state
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles

NETWORK = {"resolution": 32, "width": 2, "z_dim": 8}
PROTOCOL = {
    "metrics": ("fd", "kd", "iw"),
    "input_size": 32,
    "n_fake": 24,
    "iw": {"width": 2, "steps": 2, "batch": 4, "images": 16},
}
COMMON = {
    "target": "dots",
    "source": "scratch",
    "network": NETWORK,
    "protocol": PROTOCOL,
    "loss": {"n_critic": 2},
    "optim": {"batch": 4},
    "budget": {"images": 32, "eval_every_images": 16},
}
TRIALS: Mapping[str, Mapping[str, Any]] = {
    "scratch": {},
    "r1": {"loss": {"name": "nonsaturating", "n_critic": 1}},
    "hinge with flips on some images": {
        "loss": {"name": "hinge", "n_critic": 2},
        "augment": {"flip": True},
        "data": {"target_images": 10, "seed": 3},
    },
    "both, frozen": {"source": "seed-7", "transfer": {"freeze_d": 1}},
    "generator": {"source": "seed-7", "transfer": {"parts": "generator"}, "seed": 5},
    "discriminator, short average": {
        "source": "seed-7",
        "transfer": {"parts": "discriminator"},
        "optim": {"batch": 4, "ema_halflife_images": 8, "beta1": 0.5, "lr_g": 1e-3},
    },
    "more noise, what fits": {
        "source": "seed-7",
        "network": {**NETWORK, "z_dim": 9},
        "transfer": {"on_mismatch": "reinit"},
    },
    "bfloat16": {"optim": {"batch": 4, "precision": "bfloat16"}},
}


def run_trial(*given: Any) -> Iterator[Evaluation]:
    """The evaluations of a trial, without the progress between them."""
    return evaluations(trial.run_trial(*given))


def machine() -> str:
    """What the last bits of these numbers depend on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    return f"torch {torch.__version__}, numpy {np.__version__}, {torch.backends.cpu.get_cpu_capability()}, {cpu}"


def make_home(root: Path) -> Home:
    """Domain "dots" of 48 images in 2 classes, and source "seed-7" with random weights."""
    home, rng = Home.make(root), np.random.default_rng(0)
    images = rng.integers(0, 60, (48, 3, 32, 32), dtype=np.uint8)
    for image, (x, y) in zip(images, rng.integers(0, 24, (48, 2)), strict=True):
        image[:, y : y + 8, x : x + 8] = 220
    write_domain(home.domain("dots"), images, np.arange(48) % 2, np.arange(48) % 6 == 0, origin="test", resizer="none")
    network = Resnet.model_validate(NETWORK)
    generator = build_generator(network, seed=7)
    set_standing_statistics(generator)
    facts = {
        "name": "seed-7",
        "domain": "lines",
        "images": 100,
        "classes": 4,
        "images_per_class": 25.0,
        "images_seen": 10,
        "scores": {"fd": 1.0},
        "protocol": {"n_fake": 10},
        "origin": "test",
        "created": "2026-01-01",
    }
    critic = build_discriminator(network, seed=7)
    weights = {"generator": generator.state_dict(), "discriminator": critic.state_dict()}
    save_source(home.source("seed-7"), facts, Model(dict.fromkeys(weights, network), weights), b"png")
    return home


def evaluated(evaluations: Iterator[Evaluation]) -> list[dict[str, Any]]:
    rows = []
    for evaluation in evaluations:
        losses = {name.removeprefix("loss_"): value for name, value in evaluation.losses.items()}
        record = {k: v for k, v in evaluation.record.items() if v is not None}
        about = {"status": evaluation.status, "images_seen": evaluation.images_seen}
        rows.append({**about, "losses": losses, "metrics": dict(evaluation.metrics), "record": record})
    return rows


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return found.hexdigest()


def measured(root: Path) -> dict[str, Any]:
    """Every number, by what it is of; JSON."""
    use_cores(1)
    home, found = make_home(root / "home"), {}
    for name, fields in TRIALS.items():
        files = TrialFiles(root / name, root / f"{name} samples")
        config = parse_trial({**COMMON, **fields}, "golden")
        rows = evaluated(run_trial(config, home, files, torch.device("cpu")))
        images = open_sampler(files.model)(16, 1).images.numpy()
        state = {k: t for k, t in last_state(files).items() if t.is_floating_point()}
        found[name] = {
            "rows": rows,
            "state": digest(state),
            "state_sum": float(sum(t.double().abs().sum() for t in state.values())),
            "samples": hashlib.sha256(images.tobytes()).hexdigest(),
            "samples_mean": float(images.mean()),
        }
    protocol = parse_trial(COMMON, "golden").protocol
    parts = likeness(home, open_domain(home, "dots"), open_source(home, "seed-7"), protocol)
    found["likeness"] = {name: part.model_dump() for name, part in parts.items()}
    return json.loads(json.dumps(found))
