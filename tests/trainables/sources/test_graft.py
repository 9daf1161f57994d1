import pytest
import torch

from spaces.methods.finetune import Transfer
from spaces.networks import Resnet
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.resnet import RESNET, stages
from trainables.sources.graft import TransferError, graft, graft_networks

TINY = Resnet(resolution=32, width=2, z_dim=4)


def networks(network=TINY, seed=0):
    return build_generator(network, seed), build_discriminator(network, seed + 100)


def weights(network=TINY, seed=1):
    generator, discriminator = networks(network, seed)
    return {"generator": generator.state_dict(), "discriminator": discriminator.state_dict()}


def transplant(target, source, **transfer):
    named = dict(zip(("generator", "discriminator"), target, strict=True))
    return graft_networks(named, RESNET, source, Transfer(**transfer), source_name="faces", target_name="pets")


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("parts", ["none", "generator", "discriminator", "both"])
def test_graft_copies_the_parts_asked_for_and_no_other(parts):
    target, source, before = networks(), weights(), weights(seed=0)
    report = transplant(target, source, parts=parts)
    for part, network in zip(("generator", "discriminator"), target, strict=True):
        expected = source if parts in (part, "both") else before
        assert equal(network.state_dict(), expected[part])
        names = {f"{part}.{name}" for name in network.state_dict()}
        assert names & set(report.copied) == (names if parts in (part, "both") else set())


def test_graft_copies_buffers_too():
    source = weights()
    source["generator"]["norm.running_mean"].fill_(3)
    target = networks()
    transplant(target, source, parts="generator")
    assert (target[0].norm.running_mean == 3).all()


def test_graft_copies_values_and_does_not_share_them():
    target, source = networks(), weights()
    transplant(target, source)
    source["generator"]["to_rgb.weight"].zero_()
    assert target[0].to_rgb.weight.any()


def test_wrong_shape_names_the_tensor_both_shapes_and_the_ways_out():
    with pytest.raises(TransferError) as error:
        transplant(networks(), weights(Resnet(resolution=32, width=2, z_dim=8)))
    assert str(error.value) == (
        "source 'faces' does not fit target 'pets': generator.from_z.weight is (256, 8) there, (256, 4) here; "
        'set transfer/on_mismatch="reinit" or network/z_dim=8'
    )


def test_another_width_is_named_with_the_count_of_misfits():
    with pytest.raises(TransferError, match=r"is \(.*\) here and \d+ more; set network/width=3$"):
        transplant(networks(), weights(Resnet(resolution=32, width=3, z_dim=4)))


def test_another_resolution_is_named():
    with pytest.raises(TransferError, match=r"network/resolution=64$"):
        transplant(networks(), weights(Resnet(resolution=64, width=2, z_dim=4)), parts="discriminator")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("norm.weight"), "generator.norm.weight is missing there"),
        (lambda state: state.update(extra=torch.zeros(1)), "generator.extra has no place here"),
    ],
)
def test_missing_and_surplus_tensors_are_refused_by_name(change, message):
    source = weights()
    change(source["generator"])
    with pytest.raises(TransferError, match=message):
        transplant(networks(), source)


def test_refusal_comes_before_anything_is_copied():
    target, source = networks(), weights()
    source["generator"]["to_rgb.bias"] = torch.zeros(7)
    with pytest.raises(TransferError):
        transplant(target, source)
    assert equal(target[0].state_dict(), weights(seed=0)["generator"])


def test_reinit_keeps_the_targets_own_tensor_where_the_source_does_not_fit():
    target, source, own = networks(), weights(), weights(seed=0)["generator"]
    source["generator"]["to_rgb.weight"] = torch.zeros(9, 9)
    del source["generator"]["norm.bias"]
    source["generator"]["extra"] = torch.zeros(1)
    report = transplant(target, source, on_mismatch="reinit")
    assert report.reinitialised == ("generator.norm.bias", "generator.to_rgb.weight")
    assert report.unused == ("generator.to_rgb.weight", "generator.extra")
    assert torch.equal(target[0].to_rgb.weight, own["to_rgb.weight"])
    assert torch.equal(target[0].from_z.weight, source["generator"]["from_z.weight"])


def test_reinit_is_refused_where_no_weight_fits():
    with pytest.raises(TransferError, match="network/width=3"):
        transplant(networks(), weights(Resnet(resolution=32, width=3, z_dim=4)), on_mismatch="reinit")


def test_graft_alone_takes_any_module():
    source = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    target = torch.nn.Linear(3, 2)
    assert graft(target, source, where="here", on_mismatch="error").copied == ("weight", "bias")
    assert equal(dict(target.state_dict()), source)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_graft_freezes_stages_from_the_image_side(count):
    target = networks()
    report = transplant(target, weights(), freeze_d=count)
    frozen = {p for stage in stages(target[1])[:count] for module in stage for p in module.parameters()}
    assert {p for p in target[1].parameters() if not p.requires_grad} == frozen
    assert len(report.frozen) == len(frozen)
    assert all(name.startswith("discriminator.") for name in report.frozen)
    assert all(p.requires_grad for p in target[0].parameters())


def test_more_frozen_stages_than_there_are_is_refused():
    with pytest.raises(TransferError, match=r"freeze_d=4, but the critic has 3 stages; set it to 0 \.\.\. 3"):
        transplant(networks(), weights(), freeze_d=4)


@pytest.mark.parametrize("parts", ["none", "generator"])
def test_freezing_a_discriminator_that_is_not_transferred_is_refused(parts):
    with pytest.raises(TransferError, match=f"parts='{parts}' would freeze random weights"):
        transplant(networks(), weights(), parts=parts, freeze_d=1)


def test_freezing_a_reinitialised_tensor_is_refused():
    source = weights()
    del source["discriminator"]["from_rgb.bias"]
    with pytest.raises(TransferError, match=r"freeze_d=1 would freeze discriminator\.from_rgb\.bias"):
        transplant(networks(), source, on_mismatch="reinit", freeze_d=1)


def test_summary_counts_in_one_line():
    source = weights()
    del source["generator"]["to_rgb.bias"]
    summary = transplant(networks(), source, on_mismatch="reinit", freeze_d=1).summary()
    assert summary == "grafted 53 generator and 31 discriminator tensors, re-initialised 1, left 0 unused, froze 11"


@pytest.mark.parametrize("classes", [None, 3])
def test_norms_alone_train_also_where_each_class_has_its_own(classes):
    network = Resnet(resolution=32, width=2, z_dim=4, classes=classes)
    target, source = networks(network), weights(network)
    source["generator"].pop("prior", None)  # the data's own
    report = transplant(target, source, train="norms")
    trains = {name for name, weight in target[0].named_parameters() if weight.requires_grad}
    assert trains == {name for name, _ in target[0].named_parameters() if "norm" in name}
    assert {f"generator.{name}" for name, _ in target[0].named_parameters()} - set(report.frozen) == {
        f"generator.{name}" for name in trains
    }
    assert all(weight.requires_grad for weight in target[1].parameters())


def test_norms_alone_do_not_train_around_random_weights():
    source = weights(Resnet(resolution=32, width=2, z_dim=8))
    with pytest.raises(
        TransferError, match=r"transfer/train='norms' would freeze generator.from_z.weight, which was re-init"
    ):
        transplant(networks(), source, train="norms", on_mismatch="reinit")
