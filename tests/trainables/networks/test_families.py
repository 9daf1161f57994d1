"""What holds for every family of networks; a new one is held to it by its line in FAMILIES."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.finetune import Transfer
from spaces.networks import AnyNetwork, parse_network
from trainables.networks.families import (
    DISCRIMINATOR,
    FAMILIES,
    GENERATOR,
    build_discriminator,
    build_generator,
    build_network,
    family_of,
)
from trainables.networks.models import Model, ModelFacts, read_model, write_model
from trainables.networks.sampling import ZSampler, sample, set_standing_statistics
from trainables.sources.graft import TransferError, graft_networks
from trainables.training.losses import LOSSES, input_gradient

EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES)
EVERY_RESOLUTION = pytest.mark.parametrize("resolution", [32, 64, 128])
EVERY_NETWORK = pytest.mark.parametrize("name", [GENERATOR, DISCRIMINATOR])


def network(family: str, resolution: int = 32, width: int = 2, z_dim: int = 5) -> AnyNetwork:
    values = {"family": family, "resolution": resolution, "width": width, "z_dim": z_dim}
    return parse_network(values, "test")


def model_of(config: AnyNetwork) -> Model:
    generator = build_generator(config, seed=3)
    set_standing_statistics(generator)
    weights = {GENERATOR: generator.state_dict(), DISCRIMINATOR: build_discriminator(config, seed=3).state_dict()}
    return Model(dict.fromkeys(weights, config), weights)


def parameters(modules: list[nn.Module]) -> set[nn.Parameter]:
    return {parameter for module in modules for parameter in module.parameters()}


@EVERY_FAMILY
@EVERY_RESOLUTION
def test_a_generator_gives_its_resolution_in_range(family: str, resolution: int) -> None:
    generator = build_generator(network(family, resolution, width=1), seed=0)
    assert generator.z_dim == 5
    images = generator(100 * torch.randn(3, 5))
    assert images.shape == (3, 3, resolution, resolution)
    assert images.isfinite().all()
    assert images.abs().max() <= 1 or not FAMILIES[family].bounded
    assert images.dtype == torch.float32


@EVERY_FAMILY
@EVERY_RESOLUTION
def test_a_critic_gives_a_logit_for_each_image(family: str, resolution: int) -> None:
    logits = build_discriminator(network(family, resolution, width=1), seed=0)(torch.rand(3, 3, resolution, resolution))
    assert logits.shape == (3,)
    assert logits.isfinite().all()


@EVERY_FAMILY
@EVERY_NETWORK
def test_equal_seeds_give_equal_weights_and_leave_the_global_rng_alone(family: str, name: str) -> None:
    before = torch.get_rng_state()
    a, b, c = (build_network(name, network(family), seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)
    assert all(tensor.isfinite().all() for tensor in a.values())


@EVERY_FAMILY
def test_whether_the_critic_sees_its_batch_is_as_the_family_says(family: str) -> None:
    critic, images = build_discriminator(network(family), seed=0), torch.rand(4, 3, 32, 32)
    alone = critic(images[:2])
    assert torch.allclose(critic(images)[:2], alone, atol=1e-5) == (not FAMILIES[family].critic_sees_batch)


@EVERY_FAMILY
def test_stages_hold_every_layer_once_but_the_last(family: str) -> None:
    critic = build_discriminator(network(family), seed=0)
    stages = [parameters(list(stage)) for stage in FAMILIES[family].stages(critic)]
    staged = set().union(*stages)
    assert sum(map(len, stages)) == len(staged)
    assert all(stages)
    (rest,) = {name.rpartition(".")[0] for name, p in critic.named_parameters() if p not in staged}
    *_, last = (name for name, module in critic.named_modules() if parameters([module]) and not [*module.children()])
    assert rest == last


@EVERY_FAMILY
def test_freezing_holds_so_many_stages_from_the_image_side(family: str) -> None:
    config, first = network(family), next(iter(build_discriminator(network(family), 0).state_dict()))
    source = {name: module.state_dict() for name, module in networks_of(config, seed=1).items()}
    stages = len(FAMILIES[family].stages(networks_of(config, seed=1)[DISCRIMINATOR]))
    frozen = []
    for freeze_d in range(stages + 1):
        grafted = networks_of(config, seed=2)
        report = graft(config, grafted, source, Transfer(freeze_d=freeze_d))
        fixed = {f"discriminator.{k}" for k, p in grafted[DISCRIMINATOR].named_parameters() if not p.requires_grad}
        assert fixed == set(report.frozen)
        frozen.append(fixed)
    assert all(fewer < more for fewer, more in pairwise(frozen))
    assert frozen[0] == set()
    assert f"discriminator.{first}" in frozen[1]
    with pytest.raises(TransferError, match=f"the critic has {stages} stages; set it to 0 ... {stages}"):
        graft(config, networks_of(config, seed=2), source, Transfer(freeze_d=stages + 1))


def networks_of(config: AnyNetwork, seed: int) -> dict[str, nn.Module]:
    return {name: build_network(name, config, seed) for name in (GENERATOR, DISCRIMINATOR)}


def graft(config: AnyNetwork, networks: dict[str, nn.Module], source: dict[str, dict[str, Tensor]], how: Transfer):
    return graft_networks(networks, family_of(config), source, how, source_name="x", target_name="y")


@EVERY_FAMILY
@EVERY_RESOLUTION
def test_the_config_is_read_off_the_weights(family: str, resolution: int) -> None:
    config = network(family, resolution, width=3, z_dim=7)
    of_generator, of_critic = (
        FAMILIES[family].fields(build_network(name, config, 0).state_dict()) for name in (GENERATOR, DISCRIMINATOR)
    )
    assert parse_network({"family": family, **of_generator}, "read off") == config
    assert {"resolution": resolution, "width": 3}.items() <= of_critic.items()
    assert all(getattr(config, field) == value for field, value in of_critic.items())


@EVERY_FAMILY
def test_no_other_family_takes_a_generators_weights_for_its_own(family: str) -> None:
    state = build_generator(network(family), 0).state_dict()
    assert [name for name, known in FAMILIES.items() if "z_dim" in known.fields(state)] == [family]


@EVERY_FAMILY
def test_a_config_comes_back_from_json(family: str) -> None:
    config = network(family)
    written = ModelFacts(networks={GENERATOR: config}).model_dump_json()
    (found,) = ModelFacts.parse(json.loads(written), "test").networks.values()
    assert found == config
    assert type(found) is type(config)
    assert parse_network(json.loads(config.model_dump_json()), "test") == config


def test_json_without_a_family_is_a_resnet() -> None:
    values = {"resolution": 32, "width": 2, "z_dim": 5}
    assert parse_network(values, "test") == network("resnet")
    assert ModelFacts.parse({"networks": {GENERATOR: values}}, "test").networks[GENERATOR] == network("resnet")


def test_an_unknown_family_is_refused_with_the_known_ones_in_a_line() -> None:
    with pytest.raises(UserError, match=r"^test: .*known: dcgan, mimicry, resnet, stylegan2") as refused:
        parse_network({"family": "stylegan9"}, "test")
    assert len(str(refused.value).splitlines()) == 1


def test_a_model_whose_networks_are_of_two_moments_is_refused(tmp_path: Path) -> None:
    network = parse_network({"resolution": 32, "width": 2, "z_dim": 8}, "test")
    for seed in (0, 1):
        weights = {"generator": build_network("generator", network, seed).state_dict()}
        write_model(tmp_path / str(seed), Model({"generator": network}, weights), method="finetune", config={})
    (tmp_path / "1" / "generator.safetensors").replace(tmp_path / "0" / "generator.safetensors")
    with pytest.raises(
        UserError, match=r"no whole model: generator\.safetensors is not the one that model\.json names"
    ):
        read_model(tmp_path / "0")


@EVERY_FAMILY
def test_a_model_written_and_read_samples_the_same(family: str, tmp_path: Path) -> None:
    model = model_of(network(family))
    write_model(tmp_path / "model", model, method="finetune", config={})
    read, facts = read_model(tmp_path / "model")
    assert facts.networks == model.networks
    assert torch.equal(ZSampler(read)(6, seed=1).images, ZSampler(model)(6, seed=1).images)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(read.network(DISCRIMINATOR)(images), model.network(DISCRIMINATOR)(images))


@EVERY_FAMILY
@pytest.mark.parametrize("batch", [1, 7])
def test_samples_do_not_depend_on_the_batch(family: str, batch: int) -> None:
    generator = model_of(network(family)).network(GENERATOR)
    whole, parts = sample(generator, 64, seed=1), sample(generator, 64, seed=1, batch=batch)
    assert (whole.int() - parts.int()).abs().max() <= 1
    assert (whole != parts).float().mean() < 1e-2
    assert whole.float().std(0).mean() > 0  # not one image 64 times


@EVERY_FAMILY
def test_standing_statistics_forget_what_training_left(family: str) -> None:
    fresh, used = (build_generator(network(family), seed=0).train() for _ in range(2))
    used(torch.randn(8, 5))
    for generator in (fresh, used):
        set_standing_statistics(generator, n=64)
    one, other = fresh.state_dict(), used.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@EVERY_FAMILY
def test_the_input_gradient_is_the_derivative_in_the_images(family: str) -> None:
    critic, images = build_discriminator(network(family), seed=0), torch.rand(2, 3, 32, 32, requires_grad=True)
    (expected,) = torch.autograd.grad(critic(images).sum(), images)
    found, along = input_gradient(critic, images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    direction = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(along(direction).detach(), (direction * expected).sum(), rtol=1e-4, atol=1e-6)


WITH_THEIR_OWN = [f for f in FAMILIES if hasattr(build_discriminator(network(f), seed=0), "input_gradient")]


@pytest.mark.parametrize("family", WITH_THEIR_OWN)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_critics_own_input_gradient_penalises_as_the_default_by_double_backward(family: str, loss: str) -> None:
    critic = build_discriminator(network(family), seed=0)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in critic.parameters():  # biases and norms away from what they start as
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
    real, fake = (torch.randn(3, 3, 32, 32, generator=random) for _ in range(2))
    mix, weights = torch.rand(3, 1, 1, 1, generator=random), list(critic.parameters())
    found = []
    for each in (critic, lambda images: critic(images)):  # a function has no `input_gradient`
        value = LOSSES[loss].penalty(each, real, fake, mix)
        gradients = torch.autograd.grad(value, weights, allow_unused=True)
        found.append([value.detach(), *(torch.zeros(1) if g is None or not g.any() else g for g in gradients)])
    scale = max(float(gradient.abs().max()) for gradient in found[0][1:])
    assert scale > 0
    for own, default in zip(*found, strict=True):
        torch.testing.assert_close(own, default, rtol=1e-3, atol=1e-5 * scale)
