import math
from types import SimpleNamespace

import pytest

from analysis import figures, tables
from analysis.tables import Metric
from search.results import load


@pytest.fixture
def seen(study):
    """What the figures are drawn from: rows, one row a trial, styles, hover texts and the two metrics."""
    table = load(study.paths.evaluations)
    return SimpleNamespace(
        rows=tables.evaluations(table),
        trials=tables.trials_frame(table, study.spec),
        cells=tables.cells(table, study.spec),
        looks=figures.styles(study.spec.sources),
        hovers={trial: f"trial {trial}" for trial in range(8)},
        fd=Metric.of("fd", study.spec),
        iw=Metric.of("iw", study.spec),
    )


def curves(seen, rows, metric, **more):
    return figures.learning_curves(rows, metric, "images_seen", seen.looks, hovers=seen.hovers, highlighted=[], **more)


def test_scratch_looks_the_same_whatever_the_sources_are():
    assert figures.styles([])["scratch"] == figures.styles(["scratch", "mdi"])["scratch"]


def test_fifty_six_sources_look_different_from_each_other_and_from_scratch():
    assert len(set(figures.styles([f"s{i}" for i in range(56)]).values())) == 57


def test_learning_curves_have_a_trace_a_source_with_a_gap_between_trials(seen):
    figure = curves(seen, seen.rows, seen.fd)
    assert [trace.name for trace in figure.data] == ["mdi", "twemoji", "mnist", "scratch"]
    x, y = figure.data[3].x, figure.data[3].y
    assert [None if math.isnan(value) else value for value in y] == [400, 220, 110, None, 500, 190]
    assert x[0] == 100
    assert math.isnan(x[3])


def test_every_point_of_a_curve_says_whose_it_is(seen):
    scratch = curves(seen, seen.rows, seen.fd).data[3]
    assert list(scratch.hovertext) == ["trial 3"] * 3 + [""] + ["trial 4"] * 2
    assert "%{hovertext}" in scratch.hovertemplate


def test_highlighted_trials_are_thick_and_named_at_their_end(seen):
    figure = figures.learning_curves(
        seen.rows, seen.fd, "train_seconds", seen.looks, hovers=seen.hovers, highlighted=[0]
    )
    last = figure.data[-1]
    assert list(last.text) == ["", "", "", "<b>trial 0</b>"]
    assert last.line.width > 2 * figure.data[0].line.width
    assert last.line.color == seen.looks["mdi"].colour


def test_the_floor_is_a_dashed_line(seen):
    (line,) = curves(seen, seen.rows, seen.fd, floor=20.0).layout.shapes
    assert (line.y0, line.y1, line.line.dash) == (20, 20, "dash")


def test_an_axis_is_logarithmic_when_values_lie_far_apart(seen):
    near = seen.rows[seen.rows["trial"] == 0]
    assert curves(seen, seen.rows, seen.fd).layout.yaxis.type == "log"
    assert curves(seen, near, seen.fd).layout.yaxis.type is None


def test_negative_metrics_have_a_linear_axis(seen):
    assert curves(seen, seen.rows, seen.iw).layout.yaxis.type is None


def test_axes_say_which_way_is_better(seen):
    assert curves(seen, seen.rows, seen.fd).layout.title.text == "FD (efficientnet_lite0), lower is better"
    assert curves(seen, seen.rows, seen.iw).layout.title.text == "IW, nearer 0 is better"


def test_trade_off_rings_the_front_and_draws_every_trial_with_both_metrics(seen):
    both = seen.trials.dropna(subset=["fd", "iw"])
    on_front = tables.front(both, seen.fd, seen.iw)
    figure = figures.trade_off(both, seen.fd, seen.iw, seen.looks, hovers=seen.hovers, on_front=on_front)
    ring, *points = figure.data
    assert list(zip(ring.x, ring.y, strict=True)) == [(60, -2.5), (95, -2)]
    assert sum(len(trace.x) for trace in points) == len(both) == 5


def test_heat_map_cells_say_score_trials_and_seeds(seen):
    texts = [note.text for note in figures.source_by_parts(seen.cells, seen.fd).layout.annotations]
    assert "<b>90</b><br>2 of 2<br>2 seeds:<br>90–95" in texts
    assert "<b>190</b><br>2 of 2<br>1 seed" in texts
    assert "no score<br>0 of 1" in texts


def test_heat_map_colours_are_centred_on_scratch_which_fills_its_row(seen):
    heat = figures.source_by_parts(seen.cells, seen.fd).data[0]
    assert list(heat.z[0]) == [190, 190, 190]
    assert (heat.zmin + heat.zmax) / 2 == 190


def test_heat_map_of_a_metric_that_grows_is_still_blue_for_better(seen):
    cells = seen.cells.assign(best=-seen.cells["best"])  # -90 is better than -190
    heat = figures.source_by_parts(cells, seen.iw).data[0]
    assert heat.z[1][2] < heat.z[0][2]


def test_heat_map_without_scratch_is_drawn(seen):
    cells = seen.cells[seen.cells["source"] == "mdi"]
    assert len(figures.source_by_parts(cells, seen.fd).layout.annotations) == 2


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a&b"])
def test_names_are_escaped_in_every_figure(seen, name):
    looks = figures.styles([name])
    rows, trials = seen.rows.assign(source=name), seen.trials.dropna(subset=["fd", "iw"]).assign(source=name)
    cells = seen.cells[seen.cells["source"] == "mdi"].assign(source=name)
    on_front = tables.front(trials, seen.fd, seen.iw)
    drawn = [
        figures.learning_curves(rows, seen.fd, "images_seen", looks, hovers=seen.hovers, highlighted=[0]),
        figures.trade_off(trials, seen.fd, seen.iw, looks, hovers=seen.hovers, on_front=on_front),
        figures.source_by_parts(cells, seen.fd),
    ]
    for figure in drawn:
        shown = str(figure.to_dict())
        assert name not in shown, shown
        assert "&lt;script" in shown or "a&amp;b" in shown, shown


def test_long_names_are_cut_in_ticks(seen):
    cells = seen.cells[seen.cells["source"] == "mdi"].assign(source="x" * 100)
    (tick,) = figures.source_by_parts(cells, seen.fd).layout.yaxis.ticktext
    assert tick == "x" * 17 + "…"
