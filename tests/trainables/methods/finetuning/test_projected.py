"""A projected critic: what of it trains, what its logits are, and what may judge its trials."""

from pathlib import Path

import optuna
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from search.launch import begin, resolve_study
from search.proposals import load_space, trial_config
from search.records.results import config_of, flat_config
from search.running.single import spec_of, train_one
from spaces.errors import UserError
from spaces.methods.projected import ProjectedConfig, Projection
from trainables.methods.finetuning.projected import BLOCKS, ProjectedCritic
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.losses import LOSSES

CPU = torch.device("cpu")
GIVEN = {
    "target": "dots",
    "source": "seed-7",
    "method": "projected",
    "network": {"resolution": 32, "width": 2, "z_dim": 8},
    "loss": {"name": "hinge", "penalty": 0},
    "budget": {"images": 32, "eval_every_images": 16},
    "protocol": {"metrics": ("iw",)},
}


def critic(seed: int = 0) -> ProjectedCritic:
    return ProjectedCritic(Projection(channels=8), seed, CPU)


def images(seed: int, n: int = 2) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_logits_of_images_stand_behind_each_other_whatever_else_is_judged_with_them() -> None:
    judge = critic().eval()  # without another step of the spectral norms
    together = judge(torch.cat([images(1), images(2)])).chunk(2)
    assert together[0].shape == (2 * 3 * 16,), "three heads of 4x4 places"
    for got, alone in zip(together, (images(1), images(2)), strict=True):
        torch.testing.assert_close(got, judge(alone), rtol=1e-3, atol=1e-5)


def test_only_the_heads_train_and_images_have_a_gradient() -> None:
    judge = critic()
    given = images(1).requires_grad_()
    judge(given).sum().backward()
    assert given.grad is not None and (given.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(name.startswith("heads.") for name in judge.state_dict())
    assert not any(parameter.requires_grad for parameter in judge._network[0].parameters())


def test_each_scale_reaches_the_finer_ones() -> None:
    """The coarsest map has no head, and speaks through the others."""
    judge = critic()
    maps = [torch.zeros(1, width, 16 // 2**place, 16 // 2**place) for place, width in enumerate(BLOCKS.values())]
    silent = judge._projected(maps)
    maps[-1] = torch.ones_like(maps[-1])
    assert [
        bool((after - before).abs().sum() > 0) for before, after in zip(silent, judge._projected(maps), strict=True)
    ]
    assert all(torch.equal(each, torch.zeros_like(each)) for each in silent)


def test_the_same_seed_is_the_same_critic_whatever_was_drawn_before() -> None:
    torch.rand(3)
    first = critic(3).eval()(images(1))
    torch.rand(5)
    assert torch.equal(first, critic(3).eval()(images(1)))
    assert not torch.equal(first, critic(4).eval()(images(1)))


def test_it_learns_to_tell_two_kinds_of_images_apart() -> None:
    judge, loss = critic(), LOSSES["hinge"]
    adam = torch.optim.Adam(judge.parameters(), lr=1e-2)
    smooth = F.interpolate(images(1, 8)[:, :, :4, :4], scale_factor=8, mode="bilinear")
    for _ in range(8):
        adam.zero_grad()
        of_smooth, of_noise = judge(torch.cat([smooth, images(2, 8)])).chunk(2)
        loss.discriminator(of_smooth, of_noise).backward()
        adam.step()
    assert of_smooth.mean() - of_noise.mean() > 0.5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"loss": {"name": "wgan_gp", "penalty": 0}}, "trained by loss/name='nonsaturating' or 'hinge'"),
        ({"loss": {"name": "hinge", "penalty": 1}}, "with loss/penalty=0, got 'hinge' with 1"),
        ({"network": {**GIVEN["network"], "classes": 2}}, "trains no conditional GAN"),  # type: ignore[dict-item]
        ({"projection": {"input_size": 40}}, "projection/input_size=40 is no multiple of 32"),
        ({"augment": {"ada_target": 0.6, "policy": "color"}}, "two augmentations of the same images"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ProjectedConfig.parse({**GIVEN, **fields}, "test")


def test_a_search_of_conditional_gans_has_none(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    with pytest.raises(UserError, match="method 'projected' trains no conditional GAN; leave --conditional out"):
        resolve_study(home, "dots", "projected_critic", sources="seed-7", metric="iw", conditional=True)


@pytest.mark.parametrize("goals", [None, "iw", "kd,iw", "intra_diversity"])
def test_a_search_does_not_go_by_features_that_the_critic_has(
    home: Home, tiny_domain: str, tiny_source: SourceModel, goals: str | None
) -> None:
    said = r"method 'projected' trains by the features of efficientnet_lite0, which .* --extractor random_convnet"
    with pytest.raises(UserError, match=said) as refused:
        resolve_study(home, "dots", "projected_critic", sources="seed-7", metric=goals)
    assert len(str(refused.value).splitlines()) == 1


def test_a_search_goes_by_another_networks_features(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    spec = resolve_study(home, "dots", "projected_critic", sources="seed-7", extractor="random_convnet").spec
    assert (spec.metric, spec.base.protocol.extractor) == ("fd", "random_convnet")
    with pytest.raises(UserError, match="which intra_diversity is measured by"):
        goals = {"metric": "intra_diversity", "extractor": "random_convnet"}
        resolve_study(home, "dots", "projected_critic", sources="seed-7", **goals)


OF_ITS_OWN = """
def suggest(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    if trial.suggest_categorical("method", ["finetune", "projected"]) == "projected":
        trial.suggest_categorical("loss/name", ["hinge"])
        trial.suggest_categorical("loss/penalty", [0.0])
"""


def test_a_space_that_does_not_say_its_methods_is_refused_when_it_suggests_one(
    home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path
) -> None:
    (tmp_path / "space.py").write_text(OF_ITS_OWN)
    with pytest.raises(UserError, match="suggests method 'projected', which trains by the features"):
        resolve_study(home, "dots", f"{tmp_path}/space.py:suggest", sources="seed-7", sampler="grid")


def test_a_study_by_iw_of_an_earlier_version_goes_on(
    home: Home, tiny_domain: str, tiny_source: SourceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"sources": "seed-7", "metric": "iw", "concurrency": 1}
    with monkeypatch.context() as earlier:
        earlier.setattr(ProjectedConfig, "learns_from", None)
        spec = resolve_study(home, "dots", "projected_critic", **asked).spec
        begin(home, spec)
    assert resolve_study(home, "dots", "projected_critic", **asked).spec.base == spec.base
    config = ProjectedConfig.parse({**GIVEN, "network": spec.base.model_dump()["network"]}, "test")
    assert config_of(flat_config(config)) == config
    space = load_space("projected_critic")
    trial = optuna.trial.FixedTrial(
        {"source": "seed-7", "method": "projected", "optim/lr_g": 1e-3, "optim/lr_d": 1e-3}
        | {"loss/name": "hinge", "loss/penalty": 0.0, "loss/n_critic": 1}
    )
    assert trial_config(spec, space, trial).method == "projected"


def test_a_training_is_not_begun_by_features_that_the_critic_has_but_goes_on(
    home: Home, tiny_domain: str, tiny_source: SourceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ProjectedConfig.parse({**GIVEN, "protocol": {**GIVEN["protocol"], "input_size": 32}}, "test")  # type: ignore[dict-item]
    with pytest.raises(UserError, match="which iw is measured by"):
        train_one(home, config, "new", threads=1)
    assert "new" not in home.names("studies")
    begin(home, spec_of(home, config, "old", 1))

    def reached(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.running.single.run_trial", reached)
    with pytest.raises(KeyboardInterrupt):
        train_one(home, config, "old", threads=1)
