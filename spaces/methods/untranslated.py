"""The settings of the baseline that every translation must beat: the source images as they are."""

from typing import Literal

from spaces.methods.translation import TranslationConfig


class UntranslatedConfig(TranslationConfig):
    """Source images in the place of translated ones: nothing is trained, so it has one evaluation, after no image.

    Budget and data are those of the trials that it is compared with.
    """

    method: Literal["untranslated"] = "untranslated"
