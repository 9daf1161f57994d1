"""What the training of a StyleGAN2 has beside that of other GANs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from spaces.errors import UserError
from spaces.methods.finetune import FinetuneConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.classes import Classes
from trainables.methods.finetuning.stylegan2 import FinetuneStyleGAN2, PathLength
from trainables.sources.shelf import SourceModel
from trainables.training.draws import Draws
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., FinetuneConfig]
NETWORK = {"family": "stylegan2", "resolution": 32, "width": 2, "channel_max": 4, "z_dim": 4, "w_dim": 4}
NAMES = {"name": "nonsaturating", "penalty": 1, "penalty_every": 2, "n_critic": 1}


@pytest.fixture
def config(tiny_config: Make) -> Make:
    """A tiny StyleGAN2's training, whose lazy steps come every second and third iteration."""

    def make(**fields: Any) -> FinetuneConfig:
        values = {
            "network": NETWORK,
            "loss": NAMES,
            "optim": {"batch": 4, "lr_g": 1e-3, "lr_d": 1e-3, "beta2": 0.99},
            "style": {"path_length_every": 3},
        }
        return tiny_config(**values | fields)

    return make


def images(seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=random))


def learner_of(config: FinetuneConfig, source: SourceModel | None = None) -> FinetuneStyleGAN2:
    return FinetuneStyleGAN2(config, source, CPU, Group())


def counted(learner: FinetuneStyleGAN2, steps: int) -> dict[str, int]:
    """How many steps each optimiser took."""
    for step in range(steps):
        learner.step(images(step))
    return {name: int(adam.state_dict()["state"][0]["step"]) for name, adam in learner._optimisers.items()}


def test_lazy_steps_come_round_at_their_own_iterations(config: Make) -> None:
    assert counted(learner_of(config()), 4) == {"adam_g": 4 + 2, "adam_d": 4 + 2}  # after 0 and 3, after 0 and 2


def test_without_the_regularisers_each_iteration_is_a_step_each(config: Make) -> None:
    off = config(loss=NAMES | {"penalty": 0}, style={"path_length": 0})
    learner = learner_of(off)
    assert counted(learner, 2) == {"adam_g": 2, "adam_d": 2}
    assert learner.adam_g.defaults["lr"] == learner.adam_d.defaults["lr"] == 1e-3


def test_adam_makes_up_for_the_lazy_steps(config: Make) -> None:
    learner = learner_of(config(loss=NAMES | {"penalty_every": 16}, style={"path_length_every": 4}))
    for adam, share in ((learner.adam_g, 4 / 5), (learner.adam_d, 16 / 17)):
        assert adam.defaults["lr"] == pytest.approx(1e-3 * share)
        assert adam.defaults["betas"] == pytest.approx((0.0, 0.99**share))


def test_the_lazy_penalty_is_the_plain_one_times_its_interval(config: Make) -> None:
    learner = learner_of(config(loss=NAMES | {"penalty": 0.5, "penalty_every": 4}))
    real = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(learner.discriminator(x).sum(), x, create_graph=True)
    (4 * 0.5 / 2 * gradient.square().sum((1, 2, 3)).mean()).backward()
    expected = learner.discriminator.get_parameter("b8.conv0.weight").grad.clone()
    learner.adam_d.step = lambda: None  # type: ignore[method-assign, assignment, misc]
    learner._penalty_step(real, real, real[:, :1, :1, :1], None)
    found = learner.discriminator.get_parameter("b8.conv0.weight").grad
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_the_path_length_has_the_gradient_of_its_equation() -> None:
    """a moves with the lengths: the equation differentiated as it stands, in float64."""
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(3 * 4 * 4, 6, generator=random, dtype=torch.float64).requires_grad_()
    ws = torch.randn(4, 2, 3, generator=random, dtype=torch.float64).requires_grad_()
    y = torch.randn(4, 3, 4, 4, generator=random, dtype=torch.float64)

    def made() -> Tensor:
        return (ws.flatten(1).tanh() @ weight.T).view(4, 3, 4, 4)

    found = PathLength(0.25, Group()).double()
    found.mean.fill_(0.5)
    penalty = found(ws, made(), y)
    (gradient,) = torch.autograd.grad(penalty, weight)

    (slopes,) = torch.autograd.grad((made() * y / 4).sum(), ws, create_graph=True)
    lengths = slopes.square().sum(2).mean(1).sqrt()
    aimed = 0.5 + 0.25 * (lengths.mean() - 0.5)
    expected = (lengths - aimed).square().mean()
    torch.testing.assert_close(penalty, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, weight)[0])
    torch.testing.assert_close(found.mean, aimed.detach())


def test_the_mean_of_w_follows_the_batches_and_reaches_the_average(config: Make) -> None:
    learner = learner_of(config(style={"w_average_decay": 0.0}))
    asked: list[Tensor] = []
    follow = learner._follow_w
    learner._follow_w = lambda given: (asked.append(learner.generator.mapping(given[0]).mean(0)), follow(given))[1]  # type: ignore[method-assign]
    learner.step(images())
    torch.testing.assert_close(learner.generator.mapping.w_avg, asked[0].detach())
    assert torch.equal(learner.average.mapping.w_avg, learner.generator.mapping.w_avg)


def test_the_average_has_a_ramp_from_scratch_alone(config: Make, new_source: Callable[..., SourceModel]) -> None:
    source, optim = new_source("styles", **NETWORK), {"batch": 4, "ema_halflife_images": 4}
    for name, keep in (("scratch", 0.5 ** (4 / 0.2)), ("styles", 0.5)):
        learner = learner_of(config(source=name, optim=optim), source if name != "scratch" else None)
        start = learner.average.synthesis.b4.const.clone()
        learner.step(images())
        expected = start + (learner.generator.synthesis.b4.const - start) * (1 - keep)
        torch.testing.assert_close(learner.average.synthesis.b4.const, expected.detach())


def test_freezing_by_layers_holds_so_many_and_the_rest_learns(
    config: Make, new_source: Callable[..., SourceModel]
) -> None:
    source = new_source("styles", **NETWORK)
    learner = learner_of(config(source="styles", transfer={"freeze_layers": 3}), source)
    learner.step(images())
    before, after = source.weights()["discriminator"], learner.discriminator.state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {
        f"b32.{layer}.{tensor}" for layer in ("fromrgb", "conv0", "conv1") for tensor in ("weight", "bias")
    }


def test_styles_are_mixed_with_the_probability_asked_for(config: Make) -> None:
    never, always = (learner_of(config(style={"mixing": mixing})) for mixing in (0.0, 1.0))
    draws = [Draws(0, iteration) for iteration in range(40)]
    z = torch.zeros(4, 4)
    assert all(never._named(never._asked(z, each)).other is None for each in draws)
    cuts = {int(always._named(always._asked(z, each)).cut[0]) for each in draws}  # type: ignore[index]
    assert cuts == set(range(1, 8))


def test_gradients_that_are_no_numbers_do_not_reach_the_weights(config: Make) -> None:
    learner = learner_of(config())
    parameters = learner.adam_g.param_groups[0]["params"]
    for parameter, value in zip(parameters, (float("nan"), float("inf")), strict=False):
        parameter.grad = torch.full_like(parameter, value)
    learner._descend(learner.adam_g)
    assert all(parameter.isfinite().all() for parameter in parameters)


def test_a_conditional_critic_is_told_the_class(config: Make, tiny_domain: str) -> None:
    classes = Classes(("a", "b"), torch.tensor([0.25, 0.75]))
    conditional = config(network=NETWORK | {"classes": 2})
    learners = [FinetuneStyleGAN2(conditional, None, CPU, Group(), classes) for _ in range(2)]
    for learner, label in zip(learners, (0, 1), strict=True):
        losses = learner.step(Batch(images().images, torch.full((4,), label)))
        assert all(loss.isfinite() for loss in losses.values())
    one, other = (learner.discriminator.state_dict()["mapping.embed.weight"] for learner in learners)
    assert not torch.equal(one, other)
    assert torch.equal(learners[0].generator.get_buffer("prior"), classes.prior)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"network": {"resolution": 32, "width": 2, "z_dim": 8}},
            "style means nothing for networks of family 'resnet'",
        ),
        ({"transfer": {"train": "norms"}, "source": "x"}, "transfer/train means nothing"),
        ({"transfer": {"freeze_d": 1, "freeze_layers": 3}, "source": "x"}, "count the same layers in two ways"),
        ({"classifier": {"generator": 0.5}}, "classifier means nothing for networks of family 'stylegan2'"),
        ({"network": NETWORK | {"classes": 2}, "loss": {"name": "relativistic"}}, "asks the critic about images alone"),
    ],
)
def test_settings_that_mean_nothing_are_refused_in_a_line(config: Make, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        config(**fields)
    assert len(str(refused.value).splitlines()) == 1


def test_workers_that_would_part_a_group_of_images_are_refused(config: Make) -> None:
    with pytest.raises(UserError, match=r"needs whole groups of 4 images.*set it to a multiple of 8"):
        FinetuneStyleGAN2(config(), None, CPU, Group(0, 2, 0.5))
