"""CoGAN: what two GANs share, and what must stay apart."""

from collections.abc import Callable

import pytest
import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.networks import Resnet
from trainables.methods.registry import method_of
from trainables.methods.translation.cogan import CoganLearner, coupled
from trainables.networks.sampling import ZSampler
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group

CPU = torch.device("cpu")
NETWORK = Resnet(resolution=32, width=2, z_dim=4)


@pytest.mark.parametrize("own", [0, 1, 3])
def test_the_layers_far_from_the_image_are_the_same_ones(own: int) -> None:
    one, other = coupled(NETWORK, own, seed=0).values()
    assert one.generator.from_z is other.generator.from_z and one.critic.to_logit is other.critic.to_logit
    assert one.generator.to_rgb is not other.generator.to_rgb and one.generator.norm is not other.generator.norm
    assert one.critic.from_rgb is not other.critic.from_rgb
    shared = [a is b for a, b in zip(one.generator.blocks, other.generator.blocks, strict=True)]
    of_critics = [a is b for a, b in zip(one.critic.blocks, other.critic.blocks, strict=True)]
    assert shared == of_critics[::-1] == [place < 3 - own for place in range(3)]


def test_more_own_blocks_than_there_are_are_refused() -> None:
    with pytest.raises(UserError, match="own_blocks=4 is more than the 3 blocks of 32 pixels"):
        coupled(NETWORK, 4, seed=0)


@pytest.fixture
def learner(translation: Callable[..., TrialConfig], home: Home) -> CoganLearner:
    fields = {"method": "cogan", "width": 2, "z_dim": 4, "training": {"batch": 4, "n_critic": 1}}
    config = translation(**fields, translator=None)
    learner = method_of("cogan").build(config, gather(config, home), CPU, Group())
    assert isinstance(learner, CoganLearner)
    return learner


def test_batch_norm_is_of_one_domains_images_at_a_time(learner: CoganLearner) -> None:
    """Over the joint batch each domain's images would depend on the other's."""
    z = torch.randn(4, 4)
    gans = learner.gans
    alone = gans["target"].generator(z)
    with torch.no_grad():
        gans["source"].generator.to_rgb.bias.fill_(3.0), gans["source"].generator.norm.bias.fill_(3.0)
    gans["source"].generator(z)
    assert torch.equal(gans["target"].generator(z), alone)


def test_what_is_shared_is_stepped_once_and_stays_shared(learner: CoganLearner) -> None:
    (weights,) = (group["params"] for group in learner.adam_g.param_groups)
    assert len(weights) == len({id(weight) for weight in weights})
    state = learner.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    learner.load_state_dict(state)
    one, other = learner.gans.values()
    assert one.generator.from_z.weight is other.generator.from_z.weight


def test_it_makes_images_of_noise_and_takes_none_to_translate(learner: CoganLearner) -> None:
    sampler = ZSampler(learner.model())
    assert torch.equal(sampler(3, seed=1).images, learner.sample(3, seed=1).images)
    assert sampler(3, seed=1).inputs is None
