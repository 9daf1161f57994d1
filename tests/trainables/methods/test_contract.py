"""What holds for every method, whatever it does: a method that is not in `CASES`, or breaks a promise, fails here."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from analysis.using.model_exports import copy_model
from search.records.results import LOSSES, load, read_rows, write_trial
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.methods.cogan import CoganConfig, CoganTraining
from spaces.methods.fewshot import BatchLearning, LearnedFewshotConfig
from spaces.trials import CONFIGS, own_settings, parse_trial
from trainables.images.domains import open_domain, write_domain
from trainables.methods.method import Given, Needs, unfit
from trainables.methods.registry import METHODS, method_of
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.checkpoints import last_state, recorded, restore
from trainables.training.learner import Learner
from trainables.training.loop import Evaluation, evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles
from trainables.using.drawing import draw

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A method's tiny trial on domain "dots"."""

    settings: Mapping[str, Any]
    """Fields of its config beside target, budget and protocol."""
    moves: frozenset[str]
    """The owners of what a step changes in the learner's state, "generator" of "generator.to_rgb.weight"."""
    rounding: float = 1e-3
    """How far, as a share, the losses and scores of two workers may be from one's; images by 2,000 times as many grey levels."""


RESNET = {"resolution": 32, "width": 2, "z_dim": 8}
DCGAN = {"family": "dcgan", **RESNET}
BY_CLASS = {**RESNET, "classes": 2}
STYLEGAN2 = {"family": "stylegan2", "resolution": 32, "width": 2, "channel_max": 4, "z_dim": 4, "w_dim": 4}
LAZY = {"name": "nonsaturating", "penalty": 1, "penalty_every": 2, "n_critic": 1}
BY_STYLE = {
    "loss": LAZY,
    "optim": {"batch": 8, "lr_g": 2e-3, "ema_halflife_images": 8},
    "style": {"path_length_every": 3},
    "budget": {"images": 64, "eval_every_images": 40},
}
SHORT = {"loss": {"n_critic": 2}, "optim": {"batch": 4}}
PLAIN = {"loss": {"name": "nonsaturating", "penalty": 0, "n_critic": 1}, "optim": {"batch": 8}}
GAN = frozenset({"generator", "discriminator", "average", "adam_g", "adam_d", "iterations"})
SMALL = {"source": "seed-7", "network": RESNET, "optim": {"batch": 8}}
BUDGET = {"images": 96, "eval_every_images": 80}
"""Long enough for ADA's strength to move before the trial is broken off, in the middle of its next batches."""
DIFFAUGMENT = {"policy": "color,translation,cutout"}
ADA = {"ada_target": 0.1, "ada_images": 80}

FROM_SEED_7 = {"source": "seed-7", "network": RESNET, "loss": {"n_critic": 2}, "optim": {"batch": 4}}
FAST = {"optim": {"batch": 4, "lr_g": 0.1, "lr_d": 0.01}}  # a modulation moves by the product of two vectors
MODULATED = {"probe_steps": 1, "fisher_steps": 1, "fisher_images": 2, "start": 0.5}
BRIEF = {"loss": {"name": "nonsaturating", "penalty": 0, "n_critic": 2}}


UNPENALISED = {
    "method": "projected",
    "loss": {"name": "hinge", "penalty": 0, "n_critic": 1},
    "optim": {"batch": 4},
    "projection": {"channels": 4, "input_size": 32},
    "protocol": {"metrics": ("iw",), "input_size": 32, "n_fake": 24},  # by other features than it trains on
}


TRANSLATED = {"source": "rings", "translator": {"width": 2, "blocks": 1}, "training": {"batch": 4, "pool": 6}}

SHARED = {**TRANSLATED, "translator": {"width": 2, "blocks": 2}}


def sides_of(domain: str) -> frozenset[str]:
    return frozenset({f"translator_to_{domain}", f"critic_of_{domain}", f"pool_of_{domain}"})


ONE_WAY = sides_of("target") | {"average", "adam_g", "adam_d", "iterations"}

SETS = {"source": "many", "data": {"shots": 3}, "width": 2, "training": {"batch": 4, "n_critic": 2}}
ADAPTED = {"source": "many", "data": {"shots": 3}, "width": 2, "z_dim": 4, "adaptation": {"steps": 2, "rate": 0.01}}
META = frozenset({"generator", "discriminator", "outer_g", "outer_d", "iterations"})
SMALL_SETS = {"source": "many", "data": {"shots": 1}, "width": 2, "z_dim": 4, "training": {"batch": 4}}

COMBO = frozenset({"average", "iterations"}) | {
    f"{owner}_of_{side}"
    for owner in ("autoencoder", "critic", "pool", "adam_g", "adam_d")
    for side in ("target", "source")
}

CASES: Mapping[str, Case] = {
    "finetune": Case({"source": "seed-7", "network": RESNET, **SHORT}, moves=GAN),
    "finetune, dcgan": Case({"source": "plain", "network": DCGAN, **PLAIN}, moves=GAN),
    "finetune, scratch": Case({"source": "scratch", "network": DCGAN, **PLAIN}, moves=GAN),
    "finetune, diffaugment": Case({**SMALL, "loss": {"n_critic": 2}, "augment": DIFFAUGMENT}, moves=GAN),
    "finetune, ada": Case(
        {
            **SMALL,
            "optim": {"batch": 8, "lr_d": 1e-3},
            "loss": {"name": "nonsaturating", "n_critic": 1},
            "augment": ADA,
            "budget": BUDGET,
        },
        moves=GAN | {"ada"},
    ),
    "finetune, lecam, hinge": Case(
        {**SMALL, "loss": {"name": "hinge", "n_critic": 1, "lecam": 0.3}, "transfer": {"ewc": 1.0}},
        moves=GAN | {"lecam"},
    ),
    "finetune, relativistic": Case(
        {**SMALL, "loss": {"name": "relativistic", "penalty": 1, "n_critic": 1}, "augment": DIFFAUGMENT},
        moves=GAN,
    ),
    "finetune, norms alone": Case(
        {**SMALL, "loss": {"n_critic": 1}, "transfer": {"train": "norms", "l2_sp": 0.1}}, moves=GAN
    ),
    "finetune, conditional": Case({"source": "seed-7", "network": BY_CLASS, **SHORT}, moves=GAN),
    "finetune, conditional, diffaugment, ewc": Case(
        {**SMALL, "network": BY_CLASS, "loss": {"n_critic": 1}, "augment": DIFFAUGMENT, "transfer": {"ewc": 1.0}},
        moves=GAN,
    ),
    "finetune, conditional from conditional": Case(
        {"source": "by-class", "network": {**BY_CLASS, "conditioning": "concat"}, **SHORT}, moves=GAN
    ),
    "finetune, stylegan2": Case(
        {"source": "styles", "network": STYLEGAN2, **BY_STYLE, "transfer": {"freeze_layers": 5}},
        moves=GAN | {"path_length"},
    ),
    "finetune, stylegan2, scratch, ada": Case(
        {"source": "scratch", "network": STYLEGAN2, **BY_STYLE, "augment": {"ada_target": 0.1, "ada_images": 40}},
        moves=GAN | {"path_length", "ada"},
    ),
    "finetune, stylegan2, conditional": Case(
        {"source": "scratch", "network": {**STYLEGAN2, "classes": 2}, **BY_STYLE, "augment": DIFFAUGMENT},
        moves=GAN | {"path_length"},
    ),
    "as_is": Case({"method": "as_is", "source": "seed-7", "network": RESNET}, moves=frozenset()),
    "minegan": Case({"method": "minegan", **FROM_SEED_7, "mining": {"steps_alone": 3}}, moves=GAN),
    "minegan, dcgan": Case({"method": "minegan", "source": "plain", "network": DCGAN, **PLAIN}, moves=GAN),
    "minegan, two": Case(
        {"method": "minegan", **FROM_SEED_7, "mining": {"steps_alone": 1, "beside": "seed-8"}}, moves=GAN
    ),
    "cdc": Case({"method": "cdc", **FROM_SEED_7, "correspondence": {"whole_every": 2}}, moves=GAN),
    "kernel_modulation": Case(
        {"method": "kernel_modulation", **FROM_SEED_7, **FAST, "modulation": {**MODULATED, "fisher_steps": 1}},
        moves=GAN | {"modulation"},
    ),
    "kernel_modulation, broken in the measure": Case(
        {"method": "kernel_modulation", **FROM_SEED_7, **FAST, "modulation": {**MODULATED, "fisher_steps": 2}},
        moves=GAN | {"modulation"},
    ),
    "kernel_modulation, dcgan": Case(
        {"method": "kernel_modulation", "source": "plain", "network": DCGAN, **FAST, **BRIEF, "modulation": MODULATED},
        moves=GAN | {"modulation"},
    ),
    "projected": Case({**UNPENALISED, "source": "seed-7", "network": RESNET}, moves=GAN),
    "projected, scratch": Case({**UNPENALISED, "source": "scratch", "network": DCGAN}, moves=GAN),
    "as_is, dcgan": Case({"method": "as_is", "source": "plain", "network": DCGAN}, moves=frozenset()),
    "cyclegan": Case({"method": "cyclegan", **TRANSLATED}, moves=ONE_WAY | sides_of("source")),
    "direct": Case({"method": "direct", **TRANSLATED}, moves=ONE_WAY),
    "feature_consistency": Case(
        {"method": "feature_consistency", **TRANSLATED, "protocol": UNPENALISED["protocol"]}, moves=ONE_WAY
    ),
    "unit": Case({"method": "unit", **SHARED}, moves=ONE_WAY | sides_of("source")),
    "unit, nothing shared": Case({"method": "unit", **SHARED, "shared_blocks": 0}, moves=ONE_WAY | sides_of("source")),
    "domain_confusion": Case(
        {"method": "domain_confusion", **SHARED}, moves=ONE_WAY | sides_of("source") | {"discriminator_of_codes"}
    ),
    "xgan": Case(  # a higher rate than this blows rounding up, as signs of small differences flip
        {"method": "xgan", **SHARED, "training": {"batch": 4, "pool": 6, "lr": 5e-5}},
        moves=ONE_WAY | sides_of("source") | {"discriminator_of_codes"},
    ),
    "dtn": Case(
        {"method": "dtn", **SHARED, "training": {"batch": 4}},
        moves=frozenset({"translator", "average", "adam_f", "iterations"}),  # the encoder learns first
    ),
    "cogan": Case(  # at ten times the rate, the default, rounding grows faster than two workers may differ
        {
            "method": "cogan",
            "source": "rings",
            "width": 2,
            "z_dim": 8,
            "training": {"batch": 4, "n_critic": 2, "lr": 1e-4},
        },
        moves=frozenset({"average", "adam_g", "adam_d", "iterations"})
        | {f"{owner}_of_{side}" for owner in ("generator", "critic") for side in ("target", "source")},
    ),
    "stargan": Case(
        {
            "method": "stargan",
            "source": "rings",
            "beside": ["more-rings"],
            "width": 2,
            "blocks": 1,
            "training": {"batch": 4, "n_critic": 2},
        },
        moves=GAN,
    ),
    "combogan": Case({"method": "combogan", **TRANSLATED}, moves=COMBO),
    "funit": Case(
        {"method": "funit", "source": "many", "data": {"shots": 3}, "width": 2, "latent": 2, "training": {"batch": 4}},
        moves=frozenset({"generator", "discriminator", "average", "rms_g", "rms_d", "iterations"}),
        rounding=5e-3,  # RMSprop steps by its rate also where a gradient is rounding alone; in float64 they agree to 1e-15
    ),
    "untranslated": Case({"method": "untranslated", "source": "rings"}, moves=frozenset()),
    "dagan": Case({"method": "dagan", **SETS, "z_dim": 4}, moves=GAN),
    "dagan, faithful": Case({"method": "dagan", **SETS, "z_dim": 4, "dropout": 0, "faithful": True}, moves=GAN),
    "matchinggan": Case({"method": "matchinggan", **SETS, "z_dim": 4}, moves=GAN),
    "matchinggan, faithful": Case({"method": "matchinggan", **SETS, "faithful": True}, moves=GAN),
    "f2gan": Case({"method": "f2gan", **SETS}, moves=GAN),
    "f2gan, faithful": Case({"method": "f2gan", **SETS, "faithful": True}, moves=GAN),
    "figr": Case({"method": "figr", **ADAPTED, "training": {"tasks": 4}}, moves=META),
    "figr, fomaml": Case(
        {"method": "figr", **ADAPTED, "data": {"shots": 2}, "meta": "fomaml", "training": {"tasks": 4}}, moves=META
    ),
    "figr, faithful": Case({"method": "figr", **ADAPTED, "faithful": True, "training": {"tasks": 4}}, moves=META),
    "joint": Case({"method": "joint", **ADAPTED, "training": {"batch": 4, "n_critic": 2}}, moves=GAN - {"average"}),
    "gmn": Case({"method": "gmn", **SMALL_SETS}, moves=frozenset({"generator", "adam", "iterations"})),
    "mixture": Case({"method": "mixture", "source": "scratch", "data": {"shots": 2}}, moves=frozenset()),
    "augmented": Case({"method": "augmented", "source": "scratch", "data": {"shots": 2}}, moves=frozenset()),
}
COMMON = {
    "target": "dots",
    "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
    "budget": {"images": 32, "eval_every_images": 16},
}


def _marks(case: str) -> list[pytest.MarkDecorator]:
    """The tests of a case run in one process, which trains it once; another form of a method than its first is slow."""
    return [pytest.mark.xdist_group(case), *([pytest.mark.slow] if "," in case else [])]


EVERY_CASE = pytest.mark.parametrize("case", [pytest.param(case, marks=_marks(case)) for case in CASES])
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


def config_of(case: str, **fields: Any) -> TrialConfig:
    return parse_trial({**COMMON, **CASES[case].settings, **fields}, "test")


def files_in(folder: Path) -> TrialFiles:
    return TrialFiles(folder, folder / "samples")


def run(case: str, home: Home, folder: Path) -> list[Evaluation]:
    return list(evaluations(run_trial(config_of(case), home, files_in(folder), CPU)))


def run_broken(case: str, home: Home, folder: Path) -> list[Evaluation]:
    """As `run`, killed after the first evaluation and taken up again; gives what the second process did."""
    begun = evaluations(run_trial(config_of(case), home, files_in(folder), CPU))
    next(begun)
    del begun
    return run(case, home, folder)


def learner_of(case: str, home: Home) -> Learner:
    config = config_of(case)
    return method_of(config.method).build(config, gather(config, home), CPU, Group())


def numbers(found: list[Evaluation]) -> list[dict[str, Any]]:
    """All but the seconds."""
    return [{k: v for k, v in each.as_dict().items() if not k.endswith("_seconds")} for each in found]


def rings(home: Home) -> None:
    """Domains "rings" and "more-rings" for translation: of the target's resolution, and of another size. "many" has classes."""
    images = np.random.default_rng(1).integers(180, 256, (30, 3, 32, 32), dtype=np.uint8)
    for place, image in enumerate(images):
        image[:, 4 + place % 8 : 20, 4:20] = 30
    none = np.full(30, -1)
    for name, labels in {"rings": none, "more-rings": none, "many": np.arange(30) % 5}.items():
        write_domain(home.domain(name), images, labels, np.arange(30) < 10, origin="test", resizer="none")


@dataclass(frozen=True)
class Trained:
    """What a case's trial gave, unbroken and broken off, and where its files are."""

    unbroken: list[Evaluation]
    resumed: list[Evaluation]
    folder: Path

    @property
    def files(self) -> tuple[TrialFiles, TrialFiles]:
        """Of the unbroken trial, and of the other."""
        return files_in(self.folder / "unbroken"), files_in(self.folder / "broken")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what no test changes, and so is made once a process."""
    return tmp_path_factory.mktemp("once")


@pytest.fixture(autouse=True)
def shelf(home: Home, once: Path, request: pytest.FixtureRequest) -> None:
    if (once / "home").exists():
        shutil.copytree(once / "home", home.root, dirs_exist_ok=True)
        return
    request.getfixturevalue("tiny_domain")
    new_source = request.getfixturevalue("new_source")
    new_source("seed-7"), new_source("seed-8", seed=8)
    new_source("plain", family="dcgan")
    new_source("styles", **STYLEGAN2)
    rings(home)
    new_source("by-class", classes=3)
    shutil.copytree(home.root, once / "home")


@pytest.fixture(scope="module")
def known() -> dict[str, Trained]:
    return {}


@pytest.fixture
def trained(shelf: None, once: Path, known: dict[str, Trained]) -> Callable[[str], Trained]:
    """Trains a case's trial, whole and broken off, once a process."""

    def of(case: str) -> Trained:
        if case not in known:
            folder, home = once / case, Home.make(once / "home")
            unbroken, resumed = run(case, home, folder / "unbroken"), run_broken(case, home, folder / "broken")
            known[case] = Trained(unbroken, resumed, folder)
        return known[case]

    return of


def test_every_method_has_a_case_here() -> None:
    assert {config_of(case).method for case in CASES} == METHODS.keys()


def test_both_registries_have_the_same_methods_with_the_same_configs() -> None:
    assert {name: method.config for name, method in METHODS.items()} == CONFIGS


@EVERY_METHOD
def test_a_config_says_which_method_it_is_of(method: str) -> None:
    assert CONFIGS[method].model_fields["method"].default == method


@EVERY_CASE
@pytest.mark.slow
def test_a_resumed_trial_equals_an_unbroken_one_bit_for_bit(
    case: str, home: Home, trained: Callable[[str], Trained]
) -> None:
    found = trained(case)
    assert len(found.unbroken) == (2 if CASES[case].moves else 1)
    assert numbers(found.unbroken) == numbers(found.resumed)
    one, other = (last_state(files) for files in found.files)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    samples = [draw(home, files.model, 8, seed=1).images for files in found.files]
    assert torch.equal(*samples)


@EVERY_CASE
@pytest.mark.slow
def test_what_is_written_read_and_exported_gives_the_samples_of_the_learner(
    case: str, home: Home, tmp_path: Path, trained: Callable[[str], Trained]
) -> None:
    files, learner = trained(case).files[0], learner_of(case, home)
    restore(learner, files, config_of(case))
    expected = learner.sample(8, seed=3).images
    assert expected.shape == (8, 3, 32, 32) and expected.dtype == torch.uint8
    copy_model(files.model, tmp_path / "exported")
    for path in (files.model, tmp_path / "exported"):
        assert torch.equal(draw(home, path, 8, seed=3).images, expected), path
        assert not torch.equal(draw(home, path, 8, seed=4).images, expected), path


@EVERY_CASE
def test_a_step_changes_what_it_should_and_gives_finite_scalars(case: str, home: Home) -> None:
    config, moves = config_of(case), CASES[case].moves
    learner, given = learner_of(case, home), gather(config, home)
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    scored = learner.sample(4, seed=0).images
    batches = method_of(config.method).batches(config, given, 0, CPU)
    assert (learner.images_per_iteration > 0) == bool(moves)
    losses = learner.step(next(batches)) if moves else {}
    assert bool(losses) == bool(moves)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    after = learner.state_dict()
    changed = [name for name in after if name not in before or not torch.equal(after[name], before[name])]
    assert {name.partition(".")[0] for name in changed} == moves
    assert torch.equal(learner.sample(4, seed=0).images, scored) == (not moves)
    if given.source is not None:
        given.source.weights()  # SourceError if a byte of them has changed


@EVERY_CASE
@pytest.mark.parametrize("way", ["unbroken", "resumed"])
@pytest.mark.slow
def test_losses_arrive_in_the_table_under_their_own_names(
    case: str, tmp_path: Path, way: str, trained: Callable[[str], Trained]
) -> None:
    known = trained(case)
    found, files = (known.unbroken, known.files[0]) if way == "unbroken" else (known.resumed, known.files[1])
    assert [row.losses for row in found] == [row.losses for row in recorded(files)]
    config, table = config_of(case), tmp_path / "table"
    table.mkdir()
    rows = [evaluation.row() for evaluation in found]
    write_trial(table / "0.parquet", config, study="s", trial=0, status="completed", evaluations=rows)
    names = [set(evaluation.losses) for evaluation in found]
    assert all(bool(each) == bool(CASES[case].moves) for each in names)
    assert [row.get(LOSSES, {}) for row in read_rows(table / "0.parquet")] == [dict(each.losses) for each in found]
    for name in names[0]:
        assert load(table).column(name).to_pylist() == [evaluation.losses[name] for evaluation in found]


def refusal(values: Mapping[str, Any]) -> str:
    with pytest.raises(UserError) as refused:
        parse_trial(values, "here")
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith("here: ")
    return str(refused.value)


@EVERY_CASE
def test_unknown_settings_and_those_of_other_methods_are_refused(case: str) -> None:
    values, method = {**COMMON, **CASES[case].settings}, config_of(case).method
    assert "nonsense: Extra inputs are not permitted, got 1" in refusal({**values, "nonsense": 1})
    assert "unknown method 'nonsense'; known: as_is, augmented, cdc, " in refusal({**values, "method": "nonsense"})
    own = own_settings(CONFIGS[method])
    for foreign in {name for other in CONFIGS.values() for name in own_settings(other)} - set(own):
        said = refusal({**values, foreign: {}})
        assert f"{foreign!r} is no setting of method {method!r}, which has: {', '.join(own)}" in said


BUILT_FOR_THE_TARGET = ("stargan", "cogan", "funit", "dagan", "matchinggan", "f2gan", "figr", "joint", "gmn")


@pytest.mark.parametrize("case", BUILT_FOR_THE_TARGET)
def test_a_target_whose_size_the_networks_do_not_have_is_refused_in_one_line(case: str, home: Home) -> None:
    config, given = config_of(case), gather(config_of(case), home)
    large = replace(given.target, facts=given.target.facts.model_copy(update={"resolution": 256}))
    with pytest.raises(UserError) as refused:
        method_of(config.method).build(config, replace(given, target=large), CPU, Group())
    said = f"method {case!r} on domain 'dots' (`domains add --resolution` makes it of another size): resolution: Input should be"
    assert str(refused.value).startswith(said) and str(refused.value).endswith("32, 64 or 128, got 256")


PATCHES = ("cyclegan", "direct", "feature_consistency", "unit", "domain_confusion", "xgan", "dtn", "combogan")


@pytest.mark.parametrize("case", PATCHES)
def test_a_critic_whose_halvings_leave_too_little_is_refused_in_one_line(case: str, home: Home) -> None:
    translator = {"translator": {**SHARED["translator"], "critic_halvings": 4}}
    config = config_of(case, **translator)
    with pytest.raises(UserError) as refused:
        method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert str(refused.value) == (
        "translator/critic_halvings=4 leaves 2 of 32 pixels a side, and the critic needs 4; give 3 at most"
    )
    translator["translator"]["critic_halvings"] = 3
    config = config_of(case, **translator)
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    learner.step(next(method_of(config.method).batches(config, gather(config, home), 0, CPU)))


def given_from(home: Home, source: SourceModel | None) -> Given:
    return Given(open_domain(home, "dots"), source)


@EVERY_METHOD
def test_a_method_fits_a_source_with_all_that_there_is(
    method: str, home: Home, new_source: Callable[..., SourceModel]
) -> None:
    if METHODS[method].needs.domains:
        assert unfit(METHODS[method], Given(open_domain(home, "dots"), domains=(open_domain(home, "many"),))) is None
        return
    for family in METHODS[method].needs.families or ("resnet", "dcgan"):
        assert unfit(METHODS[method], given_from(home, new_source("x", family=family))) is None


def test_why_domains_do_not_fit_is_said_in_a_line(home: Home) -> None:
    images = np.zeros((8, 3, 64, 64), np.uint8)
    write_domain(home.domain("large"), images, np.full(8, -1), np.arange(8) < 2, origin="test", resizer="none")
    target, large = open_domain(home, "dots"), open_domain(home, "large")
    reasons = {
        "it translates the images of source domains, and none is named; name some of the home's with --sources": (),
        "domain 'dots' is the target itself, and there is nothing to translate": (target,),
        "domain 'large' has 64 pixels, domain 'dots' 32; add one of them again with the other's --resolution": (large,),
    }
    for reason, domains in reasons.items():
        assert unfit(METHODS["cyclegan"], Given(target, domains=domains)) == reason


def test_why_a_method_is_unfit_is_said_in_a_line(home: Home, new_source: Callable[..., SourceModel]) -> None:
    as_is, source, dcgan = METHODS["as_is"], new_source("x", critic=False), new_source("y", family="dcgan")
    large, own = new_source("z", resolution=64), new_source("w", domain="dots")
    reasons = {
        "it needs a source, and source 'scratch' is none": (as_is.needs, None),
        "source 'x' has no discriminator; it has: generator": (Needs(networks=("generator", "discriminator")), source),
        "source 'y' is a dcgan; the method works on: resnet": (Needs(families=("resnet",)), dcgan),
        "the images of source 'x', domain 'lines', are not in the home": (Needs(source_images=True), source),
        "source 'z' has 64 pixels, domain 'dots' 32; add the domain again with --resolution 64": (as_is.needs, large),
    }
    for reason, (needs, each) in reasons.items():
        assert unfit(replace(as_is, needs=needs), given_from(home, each)) == reason
    there = gather(config_of("as_is", source="w"), home)
    assert there.source_images is not None, own
    assert unfit(replace(as_is, needs=Needs(source_images=True)), there) is None


def test_a_method_that_needs_labels_is_unfit_for_a_domain_without(home: Home) -> None:
    needs_labels = replace(METHODS["finetune"], needs=Needs(labels=True))
    assert unfit(needs_labels, given_from(home, None)) is None
    images, none = np.zeros((8, 3, 32, 32), np.uint8), np.full(8, -1)
    write_domain(home.domain("bare"), images, none, np.arange(8) < 2, origin="test", resizer="none")
    reason = unfit(needs_labels, Given(open_domain(home, "bare")))
    assert reason == "domain 'bare' has images without a class; import it from class folders"


def test_a_trial_of_an_unfit_method_is_refused_in_a_line(
    home: Home, tmp_path: Path, new_source: Callable[..., SourceModel]
) -> None:
    new_source("large", resolution=64)
    with pytest.raises(UserError, match="method 'as_is' can't be used: source 'large' has 64 pixels") as refused:
        config = config_of("as_is", source="large", network={**RESNET, "resolution": 64})
        list(run_trial(config, home, files_in(tmp_path), CPU))
    assert len(str(refused.value).splitlines()) == 1


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


@pytest.mark.slow
def test_adas_strength_and_lecams_averages_are_state(home: Home, tmp_path: Path) -> None:
    """Broken off in the middle of the batches that the strength is judged by, and not at 0."""
    next(evaluations(run_trial(config_of("finetune, ada"), home, files_in(tmp_path / "ada"), CPU)))
    state = last_state(files_in(tmp_path / "ada"))
    assert state["ada.p"] > 0 and 0 < state["ada.batches"] < 4 and state["ada.signs"] != 0
    next(evaluations(run_trial(config_of("finetune, lecam, hinge"), home, files_in(tmp_path / "lecam"), CPU)))
    assert last_state(files_in(tmp_path / "lecam"))["lecam.averages"].all()
