from itertools import islice

import numpy as np
import pytest

from trainables.images.importing.builtin_names import BUILTIN_NAMES
from trainables.images.importing.builtins import BUILTINS
from trainables.images.importing.decoding import square_rgb
from trainables.images.importing.glyphs import CANVAS

WEIGHTS = ("thin", "light", "regular", "bold", "fill")
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
STYLES = {
    **{f"phosphor-{weight}": 894 for weight in WEIGHTS},
    **{f"remix-{style}": 1086 for style in ("line", "fill")},
    **{f"twemoji-{tone}": 336 for tone in TONES},
}
SIZES = {"glyphs": 4993, "mdi": 7367, "mnist": 5000, "phosphor": 4470, "remix": 2271, "twemoji": 4009, **STYLES}


def test_every_builtin_domain_has_a_size_here():
    assert set(SIZES) == set(BUILTINS) == set(BUILTIN_NAMES)


@pytest.mark.parametrize("name", BUILTINS)
def test_a_builtin_domain_gives_distinct_images(name):
    origin = BUILTINS[name]()
    assert origin.total == SIZES[name]
    images = [square_rgb(item.read()[0], 32) for item in islice(origin.items, 100, 150)]
    assert len({image.tobytes() for image in images}) == (
        49 if name == "glyphs" else 50
    )  # of Remix, two that are alike
    assert all(image.std() > 5 for image in images), "none is blank"


@pytest.mark.parametrize("name", ["mdi", "phosphor", "remix"])
def test_glyphs_are_black_on_white_whole_and_centred(name):
    for item in islice(BUILTINS[name]().items, 0, 1000, 20):
        image, label = item.read()
        ink = np.asarray(image) < 255
        left, right = np.flatnonzero(ink.any(axis=0))[[0, -1]]
        top, bottom = np.flatnonzero(ink.any(axis=1))[[0, -1]]
        assert image.size == (CANVAS, CANVAS)
        assert min(left, top) > 0, f"{item.name} touches the edge"
        assert abs(left + right - (CANVAS - 1)) <= 2, f"{item.name} is off centre by {left=} {right=}"
        assert abs(top + bottom - (CANVAS - 1)) <= 2, f"{item.name} is off centre by {top=} {bottom=}"
        assert (int(np.asarray(image).min()), label) == (0, -1)


def test_digits_have_labels_and_stand_on_black():
    samples = [item.read() for item in islice(BUILTINS["mnist"]().items, 0, None, 50)]
    assert {label for _, label in samples} == set(range(10))
    assert all(image.size == (28, 28) and image.getpixel((0, 0)) == 0 for image, _ in samples)


def test_emoji_stand_on_white_in_colour():
    images = np.stack([square_rgb(item.read()[0], 64) for item in islice(BUILTINS["twemoji"]().items, 0, 400, 10)])
    assert np.median(images[:, :, 0, 0]) == 255
    assert (images.max(axis=1) - images.min(axis=1)).max() > 100


@pytest.mark.parametrize("style", STYLES)
def test_all_styles_of_pictures_have_the_same_names_and_hold_out_the_same_ones(style):
    first = next(name for name in STYLES if name.partition("-")[0] == style.partition("-")[0])
    one, other = (list(BUILTINS[name]().items) for name in (first, style))
    assert [(item.name, item.split) for item in one] == [(item.name, item.split) for item in other]
    held_out = np.mean([item.split == "val" for item in other])
    assert 0.15 < held_out < 0.25
    assert BUILTINS[style]().keeps_names


def test_a_heavier_weight_of_an_icon_has_more_ink():
    ink = {}
    for weight in WEIGHTS:
        items = islice(BUILTINS[f"phosphor-{weight}"]().items, 40)
        ink[weight] = np.mean([255 - np.asarray(item.read()[0]) for item in items])
    assert list(ink) == sorted(ink, key=ink.__getitem__)


def test_skin_tones_of_an_emoji_differ_in_their_tone_alone():
    light, dark = (next(iter(BUILTINS[f"twemoji-{tone}"]().items)) for tone in ("light", "dark"))
    assert light.name == dark.name == "1f385-tone"
    one, other = (square_rgb(item.read()[0], 32).astype(int) for item in (light, dark))
    assert other.mean() < one.mean()
    assert (one == other).mean() > 0.5


@pytest.mark.slow
def test_glyphs_are_icons_of_several_fonts_with_their_styles_in_one_class():
    origin = BUILTINS["glyphs"]()
    items = list(origin.items)
    classes = [set() for _ in origin.class_names]
    for item in items:
        classes[item.read.args[2]].add(item.face)
    assert all(len(fonts) > 1 for fonts in classes[:50]) and origin.per_class == 6
    assert {"home", "heart"} < set(origin.class_names) and "heart-fill" not in origin.class_names
