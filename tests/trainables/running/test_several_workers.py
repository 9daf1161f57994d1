"""Two workers, each a process with half the batch, beside one with the whole: gloo on the CPU, NCCL where there are GPUs."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor

from spaces.config import Budget
from spaces.trials import parse_trial
from trainables.images.batches import Batch
from trainables.images.domains import write_domain
from trainables.methods.finetuning.finetune import Finetune
from trainables.running import trial
from trainables.storage.home import Home
from trainables.training.augmentation.ada import BATCHES, Strength
from trainables.training.checkpoints import last_state
from trainables.training.loop import Evaluation, evaluations, train
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

pytestmark = pytest.mark.ray  # slow as those, without Ray

STEPS = 50
CONFIG = parse_trial(
    {
        "target": "dots",
        "source": "scratch",
        "network": {"resolution": 32, "width": 2, "z_dim": 8},
        "loss": {"n_critic": 2},
        "optim": {"batch": 4},
        "budget": {"images": 48, "eval_every_images": 16},
        "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
    },
    "test",
)


def run_trial(*given: Any) -> Iterator[Evaluation]:
    """The evaluations of a trial, without the progress between them."""
    return evaluations(trial.run_trial(*given))


@dataclass(frozen=True)
class Place:
    """A temporary folder: a home, and what the runs leave."""

    folder: Path

    @property
    def home(self) -> Home:
        return Home.make(self.folder / "home")

    def files(self, name: str) -> TrialFiles:
        return TrialFiles(self.folder / name, self.folder / f"{name}-samples")

    def losses(self, name: str) -> np.ndarray[Any, Any]:
        """(steps, 2): of the critic and the generator."""
        return np.array(json.loads((self.folder / f"{name}.json").read_text()))

    def weights(self, name: str) -> dict[str, Tensor]:
        return load_file(self.folder / f"{name}.safetensors")


def batches() -> Iterator[Batch]:
    """Smooth random pictures, uint8 (8, 3, 32, 32), the same in every process."""
    for step in range(STEPS):
        coarse = np.random.default_rng(step).integers(0, 256, (8, 3, 4, 4), dtype=np.uint8)
        yield Batch(torch.from_numpy(coarse.repeat(8, axis=2).repeat(8, axis=3)))


def follow(place: Place, name: str, group: Group, device: torch.device, nudge: bool = False) -> None:
    """Train 50 iterations; `nudge` moves each weight of the start to the next float32."""
    learner = Finetune(CONFIG, None, device, group)
    with torch.no_grad():
        for weight in learner.generator.parameters() if nudge else ():
            weight.copy_(torch.nextafter(weight, torch.full_like(weight, math.inf)))
    losses = [[float(value) for value in learner.step(batch).values()] for batch in batches()]
    (place.folder / f"{name}.json").write_text(json.dumps(losses))
    networks = {k: v.cpu().contiguous() for k, v in learner.state_dict().items() if not k.startswith("adam")}
    save_file(networks, place.folder / f"{name}.safetensors")


def poisoned(learner: Finetune, rank: int) -> str:
    """How training ends if one worker alone has a weight that is no number."""
    if rank == 1:
        learner.discriminator.to_logit.weight.data[0, 0] = math.nan
    endless = Budget(images=10_000, eval_every_images=10_000)
    (last,) = evaluations(train(learner, batches(), endless, lambda _: ({}, {})))
    return f"{last.status} after {last.images_seen}"


def check_ada(group: Group, device: torch.device) -> None:
    """Workers agree on the strength: one's critic is sure of all real images, the other's of three in four, 0.75 in all."""
    strength = Strength(0.7, images=80, rows=8, group=group)
    signs = torch.tensor([1.0, 1, 1, 1 - 2 * group.rank], device=device)
    for _ in range(BATCHES):
        strength.learn(signs)
    assert strength.p.item() == pytest.approx(BATCHES * 8 / 80)


def worker(rank: int, folder: Path, backend: str) -> None:
    torch.set_num_threads(1)
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    dist.init_process_group(backend, f"file://{folder}/store", rank=rank, world_size=2)
    place, group = Place(folder), Group.current()
    follow(place, f"two-{rank}", group, device)
    check_ada(group, device)
    if backend == "gloo":
        # The second worker's files lie elsewhere: it has to do without them, and to leave none.
        unbroken, broken = (place.files(f"{kind}-{rank}") for kind in ("unbroken", "broken"))
        rows = [str(e.metrics) for e in run_trial(CONFIG, place.home, unbroken, device)]
        begun = run_trial(CONFIG, place.home, broken, device)
        next(begun)
        begun.close()
        resumed = [str(e.metrics) for e in run_trial(CONFIG, place.home, broken, device)]
        ended = poisoned(Finetune(CONFIG, None, device, group), rank)
        found = {"unbroken": rows, "resumed": resumed, "poisoned": ended}
        (folder / f"found-{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("several"))
    images = np.random.default_rng(0).integers(0, 256, (48, 3, 32, 32), dtype=np.uint8)
    is_val = np.arange(48) % 6 == 0
    write_domain(place.home.domain("dots"), images, np.zeros(48, int), is_val, origin="test", resizer="none")
    torch.set_num_threads(1)
    for name in ("one", "nudged"):
        follow(place, name, Group(), torch.device("cpu"), nudge=name == "nudged")
    mp.spawn(worker, (place.folder, "gloo"), nprocs=2, daemon=True)
    return place


def distance(place: Place, one: str, other: str) -> tuple[float, float]:
    """The largest differences of a loss, relative to the losses' size, and of a weight, between two trainings."""
    losses, others = place.losses(one), place.losses(other)
    weights, theirs = place.weights(one), place.weights(other)
    kept = [name for name in weights if "running" not in name and "tracked" not in name]
    return (
        float((np.abs(losses - others) / np.abs(losses).mean(0)).max()),
        max(float((weights[name] - theirs[name]).abs().max()) for name in kept),
    )


def test_two_workers_follow_one_for_50_iterations(place: Place) -> None:
    first, firsts = place.losses("one")[0], place.losses("two-0")[0]
    np.testing.assert_allclose(firsts[0], first[0], rtol=1e-5)
    loss, weight = distance(place, "one", "two-0")
    moved, moved_weight = distance(place, "one", "nudged")
    print(f"{loss=:.1e} {weight=:.1e} of a start that is one rounding away: {moved:.1e} {moved_weight:.1e}")
    assert loss < 0.05
    assert weight < 0.005  # the sum of all Adam steps: 50 x 1e-4
    assert loss < 10 * moved  # no further than from a start that is one rounding away
    assert weight < 10 * moved_weight


def test_workers_stay_equal_bit_for_bit(place: Place) -> None:
    one, other = place.weights("two-0"), place.weights("two-1")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert np.array_equal(place.losses("two-0"), place.losses("two-1"))


def found(place: Place, rank: int) -> dict[str, Any]:
    return dict(json.loads((place.folder / f"found-{rank}.json").read_text()))


def test_a_resumed_trial_of_two_workers_equals_an_unbroken_one_bit_for_bit(place: Place) -> None:
    assert found(place, 0)["resumed"] == found(place, 0)["unbroken"]
    one, other = (last_state(place.files(f"{kind}-0")) for kind in ("unbroken", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(found(place, 0)["unbroken"]) == 3


def test_the_first_worker_alone_measures_and_writes(place: Place) -> None:
    assert found(place, 1)["unbroken"] == ["{}"] * 3
    assert not any(path.exists() for path in place.files("unbroken-1").slots)
    assert not place.files("unbroken-1").samples.exists()


def test_a_number_that_is_none_in_one_worker_ends_them_all(place: Place) -> None:
    assert found(place, 0)["poisoned"] == found(place, 1)["poisoned"] == "diverged after 8"


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NCCL takes a GPU of its own for each of the two workers")
def test_two_gpus_follow_one_cpu(place: Place, tmp_path: Path) -> None:
    mp.spawn(worker, (tmp_path, "nccl"), nprocs=2, daemon=True)
    (tmp_path / "one.json").write_text((place.folder / "one.json").read_text())
    (tmp_path / "one.safetensors").write_bytes((place.folder / "one.safetensors").read_bytes())
    loss, weight = distance(Place(tmp_path), "one", "two-0")
    assert loss < 0.05
    assert weight < 0.01
