"""FUNIT: the traps of METHODS 2.8, each as a test."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spaces.methods.funit import FunitConfig, FunitWeights
from spaces.networks import Funit
from trainables.images.domains import write_domain
from trainables.images.samples import Inputs
from trainables.methods.fewshot.funit import FunitLearner, Pairs, critic_losses, generator_losses, translated
from trainables.methods.registry import method_of
from trainables.networks.families import build_network
from trainables.networks.funit import FunitCritic, FunitGenerator, adapted
from trainables.networks.shots import ShotImages
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.losses import r1
from trainables.training.parallel import Group

CPU = torch.device("cpu")
WRITTEN = {"origin": "test", "resizer": "none"}
NETWORK = Funit(resolution=32, width=4, latent=4, seen=3)


def networks() -> tuple[FunitGenerator, FunitCritic]:
    generator, critic = (build_network(name, NETWORK, 0) for name in ("generator", "discriminator"))
    assert isinstance(generator, FunitGenerator) and isinstance(critic, FunitCritic)
    return generator, critic


def images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def pairs() -> Pairs:
    return Pairs(images(4), torch.tensor([0, 1, 2, 0]), images(4, 1), torch.tensor([1, 1, 0, 2]))


def test_a_class_is_the_mean_of_its_images_codes_however_many_there_are() -> None:
    generator, _ = networks()
    shots = images(6).unflatten(0, (2, 3))
    each = torch.stack([generator.codes(shots[:, k : k + 1]) for k in range(3)])
    torch.testing.assert_close(generator.codes(shots), each.mean(0))
    assert generator(images(2), shots[:, :1]).shape == generator(images(2), shots).shape == (2, 3, 32, 32)


def test_the_code_gives_the_norms_their_scale_itself() -> None:
    x = images(2)[:, :, :8, :8]
    style = torch.tensor([[2.0, 2.0, 2.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 5.0, 5.0, 5.0]])
    found = adapted(x, style)
    torch.testing.assert_close(found[0], 2 * F.instance_norm(x[:1])[0] + 1)
    torch.testing.assert_close(found[1], torch.full_like(found[1], 5.0))


def test_the_label_picks_the_map() -> None:
    _, critic = networks()
    one, other = (critic(images(2), torch.tensor(classes)) for classes in ([0, 1], [0, 2]))
    assert torch.equal(one[0], other[0]) and not torch.equal(one[1], other[1])
    critic(images(2), torch.tensor([0, 1])).sum().backward()
    assert critic.maps.weight.grad[:2].any() and not critic.maps.weight.grad[2].any()


def test_the_penalty_of_a_linear_critic_is_half_its_slope_squared_whatever_the_batch() -> None:
    slope = images(1)[0]
    wanted = slope.square().sum().item() / 2
    for n in (1, 2, 8):
        assert r1(lambda x: (x * slope).sum((1, 2, 3)), images(n)).item() == pytest.approx(wanted, rel=1e-5)
    generator, critic = networks()
    given = pairs()
    found = critic_losses(FunitWeights(penalty=0.5), generator, critic, given)["loss_penalty"]
    shown = given.shown.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(shown, given.shown_class).mean((1, 2)).sum(), shown)
    assert found.item() == pytest.approx(0.25 * gradient.square().sum((1, 2, 3)).mean().item(), rel=1e-4)


def test_terms_of_the_generator_are_those_of_the_paper() -> None:
    generator, critic = networks()
    given, weights = pairs(), FunitWeights(reconstruction=0.3, features=2.0)
    losses = generator_losses(weights, generator, critic, given)
    made, same = generator(given.content, given.shown[:, None]), generator(given.content, given.content[:, None])
    of_made, of_same = critic(made, given.shown_class), critic(same, given.content_class)
    assert losses["loss_g"].item() == pytest.approx(-(of_made.mean() + of_same.mean()).item() / 2, rel=1e-5)
    assert losses["loss_reconstruction"].item() == pytest.approx(
        0.3 * (same - given.content).abs().mean().item(), rel=1e-5
    )
    phi = [critic.judge(each, given.shown_class)[1] for each in (made, given.shown, same, given.content)]
    wanted = 2 * ((phi[0] - phi[1]).abs().mean() + (phi[2] - phi[3]).abs().mean())
    assert losses["loss_features"].item() == pytest.approx(wanted.item(), rel=1e-5)
    none = FunitWeights(reconstruction=0, features=0, penalty=0)
    assert set(generator_losses(none, generator, critic, given)) == {"loss_g"}
    assert set(critic_losses(none, generator, critic, given)) == {"loss_d"}


def test_samples_are_of_the_shots_classes_in_turn_and_say_what_they_translate() -> None:
    generator, _ = networks()
    shots = ShotImages.of(torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8), torch.tensor([4, 7]))
    inputs = Inputs(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8), tuple("abcde"))
    found = translated(generator, shots, inputs)
    assert found.labels.tolist() == [4, 7, 4, 7, 4] and found.pictures == tuple("abcde")
    assert torch.equal(found.inputs, inputs.images)
    swapped = translated(generator, ShotImages.of(shots.images.flip(0), shots.labels), inputs)
    assert not torch.equal(found.images, swapped.images)


@pytest.fixture
def config(home: Home, tiny_domain: str) -> FunitConfig:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    labels = np.array([2, 5, 9, 11])[np.arange(40) % 4]  # not all numbers are there
    write_domain(home.domain("many"), pictures, labels, np.arange(40) < 8, origin="test", resizer="none")
    values = {
        "target": tiny_domain,
        "source": "many",
        "data": {"shots": 2},
        "width": 2,
        "latent": 2,
        "training": {"batch": 3},
        "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 8},
        "budget": {"images": 6, "eval_every_images": 6},
    }
    return FunitConfig.parse(values, "test")


def test_classes_are_numbered_among_those_that_are_there(config: FunitConfig, home: Home) -> None:
    given = gather(config, home)
    learner = FunitLearner(config, given, CPU, Group())
    batch = next(method_of("funit").batches(config, given, 0, CPU))
    assert learner._network.seen == 4 and len(batch.images) == 6
    assert batch.labels is not None and set(batch.labels.tolist()) <= {0, 1, 2, 3}
    losses = learner.step(batch)
    assert set(losses) == {"loss_d", "loss_penalty", "loss_g", "loss_reconstruction", "loss_features"}


def test_content_and_class_are_drawn_apart_each_class_as_often_and_each_image_of_it(
    home: Home, config: FunitConfig
) -> None:
    """A class of 28 training images is drawn as often as one of 2; which is the content's says nothing of the other's."""
    labels = np.repeat([2, 5, 9], [30, 4, 4])
    pictures = np.broadcast_to(np.arange(38, dtype=np.uint8)[:, None, None, None], (38, 3, 32, 32)).copy()
    write_domain(home.domain("uneven"), pictures, labels, np.isin(np.arange(38), (0, 1, 30, 31, 34, 35)), **WRITTEN)
    of_many = config.model_copy(
        update={"source": "uneven", "training": config.training.model_copy(update={"batch": 1_500})}
    )
    drawn = method_of("funit").batches(of_many, gather(of_many, home), 0, CPU)
    first, second = next(drawn), next(drawn)
    assert first.images.shape == (3_000, 3, 32, 32) and first.labels is not None
    rows = first.images[:, 0, 0, 0].numpy()
    assert np.array_equal(labels[rows], np.array([2, 5, 9])[first.labels])
    content, shown = first.labels.chunk(2)
    pairs = np.histogram2d(content, shown, bins=3)[0] / 1_500
    assert np.abs(pairs - 1 / 9).max() < 0.03, "classes are drawn alike, and the two of a pair apart"
    counts = np.bincount(rows[labels[rows] == 2], minlength=30)[2:30]
    assert counts.min() > 12 and not np.array_equal(rows[:1_500], rows[1_500:])
    again = next(method_of("funit").batches(of_many, gather(of_many, home), 1, CPU))
    assert torch.equal(again.images, second.images) and not torch.equal(first.images, second.images)


def test_the_shots_are_never_trained_on(config: FunitConfig, home: Home) -> None:
    """The target's images are in the model and in no batch."""
    given = gather(config, home)
    learner = FunitLearner(config, given, CPU, Group())
    kept = learner.model().weights["shots"]["images"].clone()
    learner.step(next(method_of("funit").batches(config, given, 0, CPU)))
    assert torch.equal(learner.model().weights["shots"]["images"], kept) and kept.shape == (2, 2, 3, 32, 32)
