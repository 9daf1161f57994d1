import io
from collections.abc import Callable

import pytest
from rich.console import Console

from search.proposals import load_space, overlaid, probe
from search.records.study import StudyPaths, StudySpec
from search.running.live import View
from spaces.config import Budget
from spaces.trials import parse_trial

New = Callable[..., tuple[StudyPaths, StudySpec]]


def watched(study: tuple[StudyPaths, StudySpec], terminal: bool) -> str:
    """What a person sees of two trials, one of them stopped."""
    spec = study[1]
    config, _ = probe(spec, load_space(spec.space))
    screen = io.StringIO()
    with View(spec, {}, Console(file=screen, force_terminal=terminal, width=140)) as view:
        for number, fd in ((0, 30.0), (1, 20.0)):
            view.started(number, config)
            view.evaluated(number, {"images_seen": 8, "fd": fd})
        view.ended(0, "stopped", None)
    return screen.getvalue()


def test_plain_lines_say_what_each_trial_does(new_study: New) -> None:
    said = watched(new_study(), terminal=False)
    assert "trial 1: 8 images, fd 20" in said
    assert "trial 0: stopped (1 of 4 trials, about" in said
    assert "\x1b" not in said


def test_a_terminal_shows_the_trials_the_best_so_far_and_the_time_left(new_study: New) -> None:
    shown = watched(new_study(), terminal=True)
    assert "study s: 1 of 4 trials, about" in shown
    assert "best so far: fd 20, trial 1" in shown


def test_a_resumed_trial_is_shown_where_it_stands(new_study: New) -> None:
    _, spec = new_study()
    screen = io.StringIO()
    with View(spec, {}, Console(file=screen, width=140)) as view:
        view.started(0, spec.base, [{"images_seen": 8, "fd": 30.0}, {"images_seen": 16, "fd": 20.0}])
        view.lost(0, 1, 3, "why")
        view.evaluated(0, {"images_seen": 24, "fd": 25.0, "note": "checkpoint-1.safetensors damaged"})
    said = screen.getvalue()
    assert "trial 0: goes on at 16 images" in said
    assert "its process was lost (why); it goes on from its last evaluation (retry 1 of 3)" in said
    assert "trial 0: checkpoint-1.safetensors damaged" in said
    assert view._best == (20.0, "trial 0, scratch, 16 images")


def test_an_evaluation_without_a_score_is_no_best(new_study: New) -> None:
    _, spec = new_study()
    view = View(spec, {}, Console(file=io.StringIO()))
    view.started(0, spec.base)
    view.evaluated(0, {"images_seen": 8, "fd": None})
    assert view._best is None


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_cell_loses_a_letter_on_a_narrow_terminal(new_study: New, width: int) -> None:
    _, spec = new_study()
    name = "a-source-model-with-a-long-name-of-sixty-letters-at-the-least"
    spec = spec.model_copy(
        update={"base": spec.base.model_copy(update={"budget": Budget(images=160_000, eval_every_images=40_000)})}
    )
    view = View(spec, {}, Console(file=io.StringIO()))
    values = spec.base.model_dump() | {"source": name, "transfer": {"parts": "both"}}
    view.started(0, parse_trial(values, "test"))
    view.evaluated(0, {"images_seen": 160_000, "fd": 1234.5})
    view.lost(0, 1, 3, "why")
    screen = io.StringIO()
    Console(file=screen, width=width, height=24).print(view._render())
    said = screen.getvalue()
    assert "…" not in said and max(map(len, said.splitlines())) <= width
    left = name  # its parts stand one below the other
    for line in said.splitlines():
        for word in line.split():
            if len(word) > 2 and left.startswith(word):
                left = left.removeprefix(word)
    assert left == "", said
    for whole in ("160,000 / 160,000", "3 of 3" if "3 of 3" in said else "2 of 2", "1234"):
        assert whole in said
    assert all(word in said for word in ("lost,", "retry", "trial", "status", "rung"))


def test_neither_untranslated_images_nor_a_trial_that_diverged_are_the_best(new_study: New) -> None:
    _, spec = new_study()
    handed_on = overlaid(spec.base, {"method": "untranslated", "source": "rings"}, "test")
    arm = {"source": "rings", "transfer/parts": None, "images_seen": 8}
    earlier = {
        0: [{**arm, "method": "untranslated", "fd": 1.0, "status": "completed"}],
        1: [{**arm, "method": "cyclegan", "fd": 2.0, "status": "diverged"}],
    }
    view = View(spec, earlier, Console(file=io.StringIO()))
    for number, (config, fd) in enumerate([(handed_on, 3.0), (spec.base, 20.0), (spec.base, 4.0)], 2):
        view.started(number, config)
        view.evaluated(number, {"images_seen": 8, "fd": fd})
    view.ended(4, "diverged", None)
    assert view._best == (20.0, "trial 3, scratch, 8 images")


def test_untranslated_images_are_on_no_front(new_study: New) -> None:
    _, spec = new_study(metric="fd,iw")
    arm = {"source": "rings", "transfer/parts": None, "images_seen": 32, "status": "completed"}
    earlier = {
        0: [{**arm, "method": "untranslated", "fd": 1.0, "iw": 0.0}],
        1: [{**arm, "method": "cyclegan", "fd": 2.0, "iw": -1.0}],
    }
    assert (
        View(spec, earlier, Console(file=io.StringIO()))
        ._leading()
        .startswith("front so far, of 1 to the end: trial 1,")
    )
