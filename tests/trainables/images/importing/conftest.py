import pytest
from numbered_images import save

from trainables.storage.home import Home


@pytest.fixture
def home(tmp_path):
    """One whose folder is not there yet."""
    return Home(tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    """30 different 32-pixel images in two classes."""
    root = tmp_path / "images"
    for i in range(30):
        save(i, root / ("cat", "dog")[i % 2] / f"{i:02}.png")
    return root
