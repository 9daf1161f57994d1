"""Conditional GANs in training: the traps that AC-GAN's code is known for, each against what it must be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spaces.errors import UserError
from spaces.methods.finetune import FinetuneConfig
from trainables.images.batches import Batch
from trainables.images.domains import open_domain, write_domain
from trainables.methods.finetuning.classes import Classes, judged
from trainables.methods.finetuning.families import FINETUNE
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.method import Given
from trainables.networks.families import build_discriminator
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.parallel import Group

CPU = torch.device("cpu")
CONDITIONAL = {"resolution": 32, "width": 2, "z_dim": 8, "classes": 3}
Make = Callable[..., FinetuneConfig]


def batch_of(config: FinetuneConfig, seed: int, labels: list[int] | None = None) -> Batch:
    n, random = config.optim.batch * config.loss.n_critic, torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=random)
    return Batch(images, torch.tensor(labels) if labels else torch.randint(0, 3, (n,), generator=random))


def learner_of(config: FinetuneConfig, prior: list[float], source: SourceModel | None = None) -> Finetune:
    return Finetune(config, source, CPU, Group(), Classes(("a", "b", "c"), torch.tensor(prior)))


def stepped(config: FinetuneConfig, prior: list[float], steps: int = 2, **batch: Any) -> Finetune:
    learner = learner_of(config, prior)
    for step in range(steps):
        learner.step(batch_of(config, step, **batch))
    return learner


def test_the_critics_cross_entropy_is_of_real_images_alone() -> None:
    config = FinetuneConfig(
        target="x", source="scratch", network=CONDITIONAL, budget={"images": 1, "eval_every_images": 1}
    )
    critic = build_discriminator(config.network, seed=1)
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(4, 3, 32, 32, generator=random) for _ in range(2))
    fake.requires_grad_()
    labels = torch.tensor([0, 2, 1, 1])
    of_real, of_fake, entropy = judged(critic, real, fake, labels)
    torch.testing.assert_close(of_real, critic(real))
    torch.testing.assert_close(of_fake, critic(fake))
    torch.testing.assert_close(entropy, F.cross_entropy(critic.judge(real)[1], labels))
    (through_fakes,) = torch.autograd.grad(entropy, fake)
    assert not through_fakes.any()


def test_fakes_are_never_asked_for_a_class_that_the_data_lack(tiny_config: Make) -> None:
    config = tiny_config(network=CONDITIONAL)
    tables = [stepped(config, [0.5, 0.0, 0.5], steps).generator.norm.weight.detach() for steps in (0, 6)]
    moved = (tables[0] != tables[1]).any(1)
    assert moved.tolist() == [True, False, True]


@pytest.mark.slow
def test_the_head_learns_labels_of_reals_and_the_generator_follows_it(tiny_config: Make) -> None:
    optim, weights = {"batch": 8, "lr_d": 1e-3, "lr_g": 1e-2}, {"generator": 10}
    config = tiny_config(network=CONDITIONAL, optim=optim, classifier=weights)
    learner = learner_of(config, [1 / 3] * 3)
    classes = torch.arange(16) % 3
    images = (classes * 100)[:, None, None, None].expand(16, 3, 32, 32).to(torch.uint8)  # a grey a class
    losses = [learner.step(Batch(images, classes)) for _ in range(80)]
    assert float(losses[0]["class_d"]) > 0.8  # that of guessing is log 3 = 1.1
    assert float(losses[-1]["class_d"]) < 0.1
    assert float(losses[-1]["class_g"]) < 2  # that of guessing is 10 log 3 = 11


def test_a_weight_of_0_switches_its_term_off(tiny_config: Make) -> None:
    names = {}
    for critic, generator in ((1, 0.1), (1, 0), (0, 0)):
        config = tiny_config(network=CONDITIONAL, classifier={"critic": critic, "generator": generator})
        learner = learner_of(config, [1 / 3] * 3)
        head = learner.discriminator.to_class.weight.detach().clone()
        names[critic, generator] = set(learner.step(batch_of(config, 0)))
        assert torch.equal(head, learner.discriminator.to_class.weight) == (critic == 0)
    assert names == {
        (1, 0.1): {"loss_d", "class_d", "loss_g", "class_g"},
        (1, 0): {"loss_d", "class_d", "loss_g"},
        (0, 0): {"loss_d", "loss_g"},
    }


@pytest.mark.parametrize("conditioning", ["norm", "concat"])
def test_a_loaded_state_goes_on_bit_for_bit(tiny_config: Make, conditioning: str) -> None:
    config = tiny_config(network={**CONDITIONAL, "conditioning": conditioning})
    unbroken, resumed = stepped(config, [0.2, 0.3, 0.5], 4), learner_of(config, [0.2, 0.3, 0.5])
    resumed.load_state_dict(stepped(config, [0.2, 0.3, 0.5], 2).state_dict())
    for step in (2, 3):
        resumed.step(batch_of(config, step))
    one, other = unbroken.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_samples_and_model_have_the_datas_prior_and_names(
    tiny_config: Make, new_source: Callable[..., SourceModel]
) -> None:
    source = new_source("other", classes=3)
    learner = learner_of(tiny_config(network=CONDITIONAL, source="other"), [0.9, 0.1, 0.0], source)
    shares = torch.bincount(learner.sample(500, seed=0).labels, minlength=3) / 500
    assert shares.tolist() == pytest.approx([0.9, 0.1, 0.0], abs=0.05)
    assert learner.model().classes == ("a", "b", "c")
    assert "0 of 3 classes as in the source, 3 new at the mean of its 3" in learner.origin


@pytest.mark.parametrize("classifier", [{}, {"critic": 0.0, "generator": 0.0}])
def test_all_that_trains_of_a_source_of_the_same_classes_is_anchored(
    tiny_config: Make, new_source: Callable[..., SourceModel], classifier: dict[str, float]
) -> None:
    unnamed = new_source("other", classes=3)
    source = replace(unnamed, facts=unnamed.facts.model_copy(update={"class_names": ("a", "b", "c")}))
    transfer = {"l2_sp": 0.1}
    config = tiny_config(network=CONDITIONAL, source="other", transfer=transfer, classifier=classifier)
    learner = learner_of(config, [1 / 3] * 3, source)
    assert "3 of 3 classes as in the source" in learner.origin
    head = learner.discriminator.get_parameter("to_class.weight")
    before = head.detach().clone()
    learner.step(batch_of(config, 0))
    assert torch.equal(head, before) == bool(classifier)


def test_the_prior_is_that_of_the_images_trained_on(tiny_config: Make, home: Home) -> None:
    images, labels = np.zeros((40, 3, 32, 32), np.uint8), np.repeat([0, 2], [30, 10])
    images[:, 0, 0, 0] = np.arange(40)
    facts = {"class_names": ("a", "b", "c"), "origin": "test", "resizer": "none"}
    write_domain(home.domain("skewed"), images, labels, np.arange(40) % 10 == 9, **facts)
    config = tiny_config(target="skewed", network=CONDITIONAL)
    learner = FINETUNE.build(config, Given(open_domain(home, "skewed")), CPU, Group())
    assert learner.generator.prior.tolist() == pytest.approx([0.75, 0.0, 0.25])
    few = tiny_config(target="skewed", network=CONDITIONAL, data={"target_images": 4})
    given = Given(open_domain(home, "skewed"))
    of_few = np.bincount(given.target.labels[given.target.subset(4, 0)], minlength=3) / 4
    assert FINETUNE.build(few, given, CPU, Group()).generator.prior.tolist() == pytest.approx(of_few.tolist())


def test_what_can_not_be_conditional_is_refused_in_a_line(tiny_config: Make, home: Home) -> None:
    def refused(config: FinetuneConfig) -> str:
        with pytest.raises(UserError) as error:
            FINETUNE.build(config, Given(open_domain(home, config.target)), CPU, Group())
        assert len(str(error.value).splitlines()) == 1
        return str(error.value)

    said = refused(tiny_config(network=CONDITIONAL))
    assert said == "network/classes=3, but domain 'dots' has 2 classes; set it to that"
    images = np.zeros((8, 3, 32, 32), np.uint8)
    for name, labels, what in (
        ("bare", np.full(8, -1), "no classes"),
        ("one", np.zeros(8, int), "images of one class alone"),
    ):
        write_domain(home.domain(name), images, labels, np.arange(8) < 2, origin="test", resizer="none")
        assert f"domain '{name}' has {what}" in refused(tiny_config(target=name, network=CONDITIONAL))
    with pytest.raises(UserError, match="classifier means nothing without network/classes"):
        tiny_config(classifier={"critic": 2.0})
    with pytest.raises(UserError, match="classifier/critic=0 does not train"):
        tiny_config(network=CONDITIONAL, classifier={"critic": 0})
