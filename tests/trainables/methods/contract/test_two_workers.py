"""Two workers give what one gives, by every method."""

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from case_trials import files_in, run
from method_cases import CASES, config_of

from spaces.methods.cogan import CoganConfig, CoganTraining
from spaces.methods.fewshot import BatchLearning, LearnedFewshotConfig
from trainables.storage.home import Home
from trainables.training.checkpoints import last_state
from trainables.using.drawing import draw


def worker(rank: int, home: str, folder: Path) -> None:
    """Every case as one of two workers; the second one's files lie elsewhere: it has to do without them."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    found = {case: [e.as_dict() for e in run(case, Home.make(home), folder / f"{case}-{rank}")] for case in CASES}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


LINEAR = ("dagan", "joint", "matchinggan", "f2gan", "cogan", "funit")
"""Methods whose critic's loss is linear in its logits, by hinge as long as they are small."""


def offset_drift(case: str) -> float:
    """How far rounding may move a linear loss's critic's offset: its gradient is 0 but for that, and Adam steps by its rate, as
    RMSprop does.
    """
    config = config_of(case)
    if config.method in LINEAR:
        assert isinstance(config, LearnedFewshotConfig | CoganConfig)
        assert isinstance(config.training, BatchLearning | CoganTraining)
        return 1e-6 + 2 * config.training.lr * config.budget.images / config.training.batch
    rates = config.rates if getattr(getattr(config, "loss", None), "name", "") == "wgan_gp" else None
    return 1e-6 + 2 * (rates[1] if rates else 0)


@pytest.mark.ray  # slow as those, without Ray
def test_two_workers_give_what_one_gives(home: Home, tmp_path: Path) -> None:
    mp.spawn(worker, (str(home.root), tmp_path), nprocs=2, daemon=True)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for case in CASES:
        one = run(case, home, tmp_path / f"{case}-alone")
        exactly, near = not CASES[case].moves, CASES[case].rounding
        for alone, shared, other in zip(one, first[case], second[case], strict=True):
            assert (alone.status, alone.images_seen) == (shared["status"], shared["images_seen"]), case
            assert shared["losses"] == other["losses"] and other["metrics"] == {}, case
            for name, loss in alone.losses.items():
                drift = offset_drift(case) if name == "loss_g" else 1e-6
                assert shared["losses"][name] == pytest.approx(loss, rel=near, abs=drift), (case, name)
            assert shared["metrics"] == pytest.approx(dict(alone.metrics), rel=0 if exactly else near), case
        assert not files_in(tmp_path / f"{case}-1").model.exists(), case
        one_state, shared_state = (last_state(files_in(tmp_path / f"{case}-{who}")) for who in ("alone", 0))
        for name in (name for name in one_state if name.startswith(("ada.", "lecam.", "path_length."))):
            torch.testing.assert_close(shared_state[name], one_state[name], rtol=1e-3, atol=1e-5)
        images = [draw(home, files_in(tmp_path / f"{case}-{who}").model, 8, seed=1).images for who in ("alone", 0)]
        assert (images[0].int() - images[1].int()).abs().max() <= (0 if exactly else 2_000 * near), case  # of 255
