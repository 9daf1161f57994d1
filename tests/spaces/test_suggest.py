import optuna
import pytest

from search.proposals import overlaid, takes_domains
from spaces.config import SCRATCH, Data
from spaces.errors import UserError
from spaces.presets import FAMILY_PRESETS, PRESETS
from spaces.suggest import CONDITIONS, SPACES, Space
from spaces.trials import parse_trial

SOURCES = ["mdi", "dogs"]


def suggest(space: Space, trial: optuna.Trial) -> None:
    domains = {"domains": SOURCES} if takes_domains(space) else {}
    space.suggest(trial, sources=SOURCES, train_images=3_000, **domains)


@pytest.mark.parametrize("name", [name for name in SPACES if name != "unvaried"])
def test_whatever_a_space_suggests_is_a_config(name: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    base = PRESETS["small"]("cats", 32)
    if SPACES[name].conditional:
        base = overlaid(base, {"network/classes": 10}, name)
    if name in ("fewshot", "methods_of_few"):
        base = base.model_copy(update={"data": Data(shots=3)})
    seen = set()
    for _ in range(40):
        trial = study.ask()
        suggest(SPACES[name], trial)
        seen.add(overlaid(base, trial.params, name).source)
        study.tell(trial, 0.0)
    assert seen == ({*SOURCES} if name == "translation" else {*SOURCES, SCRATCH})


@pytest.mark.parametrize("name", SPACES)
def test_what_a_space_has_in_common_fits_a_config(name: str) -> None:
    from search.records.results import merged

    parse_trial(merged(PRESETS["small"]("cats", 64).model_dump(), SPACES[name].common), name)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_start_from_scratch_at_the_asked_resolution(name: str) -> None:
    config = PRESETS[name]("cats", 64)
    assert (config.source, config.network.resolution, config.target) == (SCRATCH, 64, "cats")


def test_stylegan2s_presets_have_the_published_settings() -> None:
    presets = FAMILY_PRESETS["stylegan2"]
    gammas = {32: 0.0064, 64: 0.026, 128: 0.10, 256: 0.82}
    for resolution, gamma in gammas.items():
        config = presets["auto"]("cats", resolution)
        assert config.loss.penalty == pytest.approx(gamma, rel=0.03)
        assert (config.optim.batch, config.loss.penalty_every) == (16 if resolution == 256 else 32, 16)
        assert (config.optim.lr_g, config.augment.ada_target, config.source) == (0.0025, 0.6, SCRATCH)
    assert presets["auto"]("cats", 256).network.width == 64  # channel_base 16384
    assert presets["auto"]("cats", 1024).network.width == 32  # channel_base 32768
    faces = presets["paper"]("cats", 256)
    assert (faces.optim.batch, faces.loss.penalty, faces.network.minibatch_group) == (64, 1.0, 8)
    assert presets["paper"]("cats", 32).style.mixing == 0.0
    with pytest.raises(UserError, match="no published StyleGAN2 settings are known for 64 pixels"):
        presets["paper"]("cats", 64)


def test_a_family_has_a_preset_for_a_cpu_and_behind_it_one_for_a_gpu() -> None:
    for presets in FAMILY_PRESETS.values():
        small, large, *_ = (preset("cats", 32) for preset in presets.values())
        assert next(iter(presets)) == "small"
        assert small.network.width < large.network.width


def test_only_a_space_for_grids_suggests_conditions() -> None:
    suggesting = []
    for name, space in SPACES.items():
        trial = optuna.create_study().ask()
        suggest(space, trial)
        suggesting += [name] if set(CONDITIONS) & trial.params.keys() else []
    assert suggesting == ["source_by_parts"]


def test_a_source_as_it_is_has_nothing_to_vary_and_scratch_is_only_trained() -> None:
    study, base = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), PRESETS["small"]("cats", 32)
    varied: dict[tuple[str, str], set[str]] = {}
    for _ in range(60):
        trial = study.ask()
        SPACES["methods"].suggest(trial, sources=SOURCES, train_images=2_000)
        config = overlaid(base, trial.params, "methods")
        varied.setdefault((config.source, config.method), set()).update(trial.params)
    tuned = {"source", "optim/lr_g", "optim/lr_d"}
    expected = {(SCRATCH, "finetune"): tuned}
    for source in SOURCES:
        expected |= {(source, "as_is"): {"source", "method"}}
        expected |= {(source, "finetune"): {*tuned, "method", "transfer/parts"}}
    assert varied == expected


def test_each_method_from_a_source_varies_what_it_has_and_no_more() -> None:
    study, base = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), PRESETS["small"]("cats", 32)
    varied: dict[str, set[str]] = {}
    for _ in range(60):
        trial = study.ask()
        SPACES["from_a_source"].suggest(trial, sources=SOURCES, train_images=2_000)
        config = overlaid(base, trial.params, "from_a_source")
        varied.setdefault(config.method if config.source != SCRATCH else SCRATCH, set()).update(trial.params)
    rates, way = {"optim/lr_g", "optim/lr_d"}, {"source", "method"}
    assert varied == {
        SCRATCH: {"source", *rates},
        "finetune": {*way, *rates, "transfer/parts"},
        "minegan": {*way, *rates, "mining/steps_alone"},
        "cdc": {*way, *rates, "correspondence/weight"},
        "as_is": way,
    }
    assert {*varied} - {SCRATCH} == {*SPACES["from_a_source"].methods}


def test_limited_data_reaches_every_knob_and_never_proposes_two_that_do_not_go_together() -> None:
    study, base = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), PRESETS["small"]("cats", 32)
    turned: set[str] = set()
    for _ in range(300):
        trial = study.ask()
        SPACES["limited_data"].suggest(trial, sources=SOURCES, train_images=300)
        config = overlaid(base, trial.params, "limited_data")  # refuses what does not go together
        assert not (config.loss.lecam and config.parts in ("discriminator", "both"))
        assert not (config.transfer.l2_sp and config.transfer.ewc)
        turned |= {name for name, value in trial.params.items() if value not in (0, "")}
    assert {"augment/policy", "augment/ada_target", "loss/lecam", "transfer/l2_sp", "transfer/ewc"} <= turned
    assert {"transfer/freeze_d", "loss/n_critic", "loss/penalty"} <= turned


@pytest.mark.parametrize("first", ["transfer_first", "scratch_first"])
def test_what_limited_data_tries_first_is_quickstarts_recipe(first: str) -> None:
    for ours, quick in zip(getattr(SPACES["limited_data"], first), getattr(SPACES["quickstart"], first), strict=True):
        base = PRESETS["small"]("cats", 32)
        source = {"source": "dogs"} if first == "transfer_first" else {}
        common = SPACES["quickstart"].common
        fixed = {name: value for name, value in common.items() if not name.startswith("budget")}
        assert overlaid(base, {**fixed, **ours, **source}, "x") == overlaid(base, {**fixed, **quick, **source}, "x")


def test_a_space_that_varies_what_the_method_does_not_have_is_refused_in_a_line() -> None:
    parameters = {"source": "dogs", "method": "as_is", "optim/lr_g": 1e-3}
    with pytest.raises(UserError, match="space 'mine': 'optim' is no setting of method 'as_is'") as refused:
        overlaid(PRESETS["small"]("cats", 32), parameters, "space 'mine'")
    assert len(str(refused.value).splitlines()) == 1
