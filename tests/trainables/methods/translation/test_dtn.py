"""DTN: an encoder that is held, constancy that reaches the decoder alone, and a critic of three kinds."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.methods.dtn import DtnConfig, DtnWeights
from spaces.methods.translation import PooledTraining
from spaces.networks import Translator
from spaces.trials import parse_trial
from trainables.methods.registry import method_of
from trainables.methods.translation.dtn import DtnLearner, decoder_losses, is_of
from trainables.networks.families import GENERATOR, build_network
from trainables.networks.translators import ImageTranslator
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")


class Says(nn.Module):
    """A critic that gives the same three logits whatever it sees."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = tuple(map(float, logits))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor(self.logits)[:, None, None].expand(len(images), 3, 2, 2)


def test_the_critic_is_asked_for_one_of_three_kinds() -> None:
    images, sum_of = torch.zeros(2, 3, 8, 8), math.log(1 + math.e + math.e**2)
    assert [float(is_of(Says(0, 1, 2), images, kind)) for kind in range(3)] == pytest.approx(
        [sum_of, sum_of - 1, sum_of - 2]
    )


def translator() -> ImageTranslator:
    network = build_network(GENERATOR, Translator(width=2, blocks=2), seed=0)
    assert isinstance(network, ImageTranslator)
    return network


def test_constancy_reaches_the_decoder_and_a_weight_of_0_switches_its_term_off() -> None:
    network, images = translator(), torch.rand(2, 2, 3, 32, 32) * 2 - 1
    losses = decoder_losses(DtnWeights(), network, Says(0, 0, 0), *images)[0]
    assert float(losses["loss_g"]) == pytest.approx(2 * math.log(3))
    losses["loss_constancy"].backward(inputs=[*network.decoder.parameters()])
    assert all(weight.grad is not None for weight in network.decoder.parameters())
    assert network.decoder[-2].weight.grad.abs().sum() > 0
    for off in ("constancy", "identity"):
        left = decoder_losses(DtnWeights(**{off: 0.0}), network, Says(0, 0, 0), *images)[0]
        assert left.keys() == losses.keys() - {f"loss_{off}"}


def test_the_encoder_learns_first_and_is_held_then(translation: Callable[..., TrialConfig], home: Home) -> None:
    """One code trains it on the constancy of codes, which is then met by bending it."""
    config = translation(method="dtn", pretraining=0.125)  # one of 8 iterations
    given, method = gather(config, home), method_of("dtn")
    learner = method.build(config, given, CPU, Group())
    assert isinstance(learner, DtnLearner)
    batches = method.batches(config, given, 0, CPU)

    def weights(part: nn.Module) -> Tensor:
        return torch.cat([weight.detach().flatten().clone() for weight in part.parameters()])

    seen = []
    for _ in range(2):
        before = [weights(part) for part in (learner.translator.encoder, learner.translator.decoder, learner.critic)]
        losses = learner.step(next(batches))
        after = [weights(part) for part in (learner.translator.encoder, learner.translator.decoder, learner.critic)]
        seen.append([not torch.equal(*pair) for pair in zip(before, after, strict=True)])
        assert losses.keys() == {"loss_f", "loss_g", "loss_constancy", "loss_identity", "loss_d"}
        assert bool(losses["loss_f"]) != bool(losses["loss_d"])
    assert seen == [[True, True, False], [False, True, True]]


def test_the_encoder_is_the_same_function_in_training_as_in_sampling() -> None:
    network, images = translator(), torch.rand(2, 3, 32, 32)
    assert torch.equal(network.train().encoder(images), network.eval().encoder(images))


class Earlier(DtnConfig):
    """As earlier versions wrote it: with a pool, which nothing came of."""

    training: PooledTraining = PooledTraining()


def test_a_trial_of_an_earlier_version_goes_on(
    translation: Callable[..., TrialConfig], home: Home, files: TrialFiles
) -> None:
    config = translation(method="dtn", training={"batch": 4})
    earlier = Earlier.parse({**config.model_dump(), "training": {"batch": 4, "pool": 7}}, "test")
    assert parse_trial(earlier.model_dump(), "test") == config
    begun = evaluations(run_trial(earlier, home, files, CPU))
    first = next(begun)
    begun.close()
    assert [row.images_seen for row in evaluations(run_trial(config, home, files, CPU))] == [16, 32]
    assert first.images_seen == 16
