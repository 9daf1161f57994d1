"""AdAM: the modulation, the importance of filters, and the control."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.kernel_modulation import KernelModulationConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.kernel_modulation import KernelModulation, ModulatedFilters, build
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., KernelModulationConfig]
LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Conv2d(3, 5, 3),
    lambda: nn.ConvTranspose2d(3, 5, 4),
    lambda: nn.Linear(3, 5),
]


@pytest.fixture
def config(from_seed_7: Callable[..., KernelModulationConfig]) -> Make:
    return partial(
        from_seed_7,
        KernelModulationConfig,
        optim={"batch": 4, "lr_g": 1e-2, "lr_d": 1e-2},
        modulation={"probe_steps": 2, "fisher_steps": 2, "fisher_images": 2},
        budget={"images": 80, "eval_every_images": 80},
    )


def images(seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=random))


def trained(config: KernelModulationConfig, home: Home, steps: int) -> KernelModulation:
    learner = build(config, gather(config, home), CPU, Group())
    for step in range(steps):
        learner.step(images(step))
    return learner


def rows(filters: ModulatedFilters) -> Tensor:
    return filters._rows(filters.weight.detach()).clone()


@pytest.mark.parametrize("layer", LAYERS)
def test_the_modulation_of_a_filter_touches_that_filter_alone(layer: Callable[[], nn.Module]) -> None:
    made = layer()
    x = torch.randn(2, 3, *(() if isinstance(made, nn.Linear) else (6, 6)))
    filters, before = ModulatedFilters(made), made(x)
    with torch.no_grad():
        filters.u.normal_()
        filters.v[3] = 0.5
    filters.write()
    changed = (made(x) - before).abs().transpose(0, 1).flatten(1).amax(1) > 1e-4  # (5,), by the output's channel
    assert changed.tolist() == [False, False, False, True, False]
    torch.testing.assert_close(rows(filters)[3], filters._source[3] * (1 + 0.5 * filters.u.detach()))


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_of_a_modulation_are_those_that_autograd_finds(layer: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    filters = ModulatedFilters(layer())
    held, pull = torch.tensor([True, False, True, True, False]), torch.randn(filters._source.shape)
    filters.begin(held, 0.7, torch.Generator().manual_seed(1))
    v, u = (vector.detach().clone().requires_grad_() for vector in (filters.v, filters.u))
    modulated = torch.where(held[:, None], filters._source * (1 + torch.outer(v, u)), filters._source)
    of_v, of_u = torch.autograd.grad((modulated * pull).sum(), [v, u])
    filters.weight.grad = filters._like_weight(pull)
    filters.pass_gradient()
    torch.testing.assert_close(filters.v.grad, of_v)
    torch.testing.assert_close(filters.u.grad, of_u)
    assert filters.weight.grad.shape == filters.weight.shape
    torch.testing.assert_close(filters._rows(filters.weight.grad), pull * ~held[:, None])


def test_in_the_probe_modulations_and_the_critics_last_layer_train_and_nothing_else(config: Make, home: Home) -> None:
    start, learner = trained(config(), home, 0), trained(config(), home, 2)
    before = {name: parameter.clone() for name, parameter in named(start).items()}
    modulated = {id(filters.weight) for filters in learner._all_filters}
    alone = {name: now for name, now in named(learner).items() if id(now) not in modulated}
    moved = {name for name, now in alone.items() if not torch.equal(now, before[name])}
    assert moved <= {"discriminator.to_logit.weight", "discriminator.to_logit.bias"}
    assert "discriminator.to_logit.weight" in moved
    for filters in learner._all_filters:
        assert filters.held.all() and filters.v.abs().max() > 1e-3
        assert torch.equal(rows(filters), filters._source * (1 + torch.outer(filters.v, filters.u)).detach())


def named(learner: KernelModulation) -> dict[str, nn.Parameter]:
    networks = {"generator": learner.generator, "discriminator": learner.discriminator}
    return {f"{part}.{name}": p for part, network in networks.items() for name, p in network.named_parameters()}


def test_nothing_trains_while_importance_is_measured(config: Make, home: Home) -> None:
    before, after = trained(config(), home, 2), trained(config(), home, 3)
    assert all(torch.equal(now, then) for now, then in zip(named(after).values(), named(before).values(), strict=True))
    assert all(not filters.fisher.any() for filters in before._all_filters)
    assert all((filters.fisher > 0).any() for filters in after._all_filters)


def test_importance_is_the_mean_squared_gradient_of_one_images_loss() -> None:
    filters, gradients = ModulatedFilters(nn.Conv2d(3, 5, 3)), torch.randn(4, 5, 3, 3, 3)
    for gradient in gradients:
        filters.measure(gradient, share=1 / 4)
    torch.testing.assert_close(filters.fisher, gradients.square().mean((0, 2, 3, 4)))


def test_adaptation_begins_at_the_source_with_what_matters_most_held(config: Make, home: Home) -> None:
    learner, source = trained(config(), home, 4), trained(config(), home, 0)
    for name, now in named(learner).items():
        torch.testing.assert_close(now, named(source)[name], rtol=1e-6, atol=0)
    critic = learner._all_filters[len(learner.filters["generator"]) :]
    scores, held = (torch.cat([getattr(filters, what) for filters in critic]) for what in ("fisher", "held"))
    assert 0 < held.sum() < len(held)
    assert scores[held].min() >= scores[~held].max()  # one cut for all of the critic's layers


@pytest.mark.parametrize("filters", ["important", "random"])
def test_held_filters_keep_the_sources_kernel_whatever_adam_remembers(config: Make, home: Home, filters: str) -> None:
    optim = {"batch": 4, "lr_g": 1e-2, "lr_d": 1e-2, "beta1": 0.9}
    modulation = {"probe_steps": 2, "fisher_steps": 2, "fisher_images": 2, "filters": filters}
    learner = trained(config(optim=optim, modulation=modulation), home, 8)
    for each in learner._all_filters:
        wanted = (each._source * (1 + torch.outer(each.v, each.u))).detach()
        assert torch.equal(rows(each)[each.held], wanted[each.held])
    free = [rows(each)[~each.held] - each._source[~each.held] for each in learner._all_filters if not each.held.all()]
    assert all(moved.abs().max() > 1e-3 for moved in free)


@pytest.mark.parametrize("percentile", [0, 25, 50, 75, 100])
def test_random_filters_are_as_many_as_important_ones(config: Make, home: Home, percentile: int) -> None:
    modulation = {"probe_steps": 1, "fisher_steps": 1, "fisher_images": 1, "percentile": percentile}

    def held(filters: str) -> list[int]:
        learner = trained(config(modulation={**modulation, "filters": filters}), home, 2)
        of_generator, of_critic = learner.filters["generator"], learner.filters["discriminator"]
        linear = [each for each in of_generator if each.weight.ndim == 2]  # type: ignore[operator, union-attr]
        convolutions = [each for each in of_generator if each.weight.ndim == 4]  # type: ignore[operator, union-attr]
        shares = [torch.cat([each.held for each in group]) for group in (convolutions, linear, of_critic)]  # type: ignore[union-attr, misc]
        assert [int(each.sum()) for each in shares] == [round(len(each) * (1 - percentile / 100)) for each in shares]
        return [int(place) for each in shares for place in each.nonzero()]

    important, random = held("important"), held("random")
    assert len(important) == len(random)
    assert (important == random) == (percentile in (0, 100))


def test_a_probe_as_long_as_the_budget_is_refused_with_the_way_out(config: Make) -> None:
    with pytest.raises(UserError) as refused:
        config(modulation={"probe_steps": 8, "fisher_steps": 2})
    assert "modulation/probe_steps and fisher_steps take 80 images, the whole budget of 80; lower them" in str(
        refused.value
    )
    with pytest.raises(UserError, match="modulation/fisher_images=8 is more than optim/batch=4"):
        config(modulation={"probe_steps": 1, "fisher_steps": 1, "fisher_images": 8})
