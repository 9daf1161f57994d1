"""How a small classifier is taught, to see whether generated images help it: the protocol, and what its arms are called."""

from pydantic import PositiveInt

from spaces.records import Config

REAL, AUGMENTED, MIXED = "real", "augmented", "mixture"
"""The arms that take no method: real images alone, with standard augmentation, and beside pixel mixtures of them."""
AND_AUGMENTED = " + augmented"
"""Behind the name of a method whose images stand beside real ones that are augmented."""


class Teaching(Config):
    """What is the same in all arms."""

    shots: PositiveInt
    """K: real images of each class."""
    steps: PositiveInt
    """Of 64 images, half of them generated where there are any."""
    per_class: PositiveInt
    """Images that are generated, or mixed, of each class."""
