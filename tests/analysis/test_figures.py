import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import tables
from analysis.figures import curves, grids, lines, parameters, scatter
from analysis.figures.style import COLOURS, styles
from analysis.findings import matrix, sizes, spending, thresholds
from analysis.findings.parameters import level
from analysis.sections.sizes import pooled
from analysis.tables import metric_of

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def seen(study):
    """What the figures are drawn from: rows, one row a trial, styles, hover texts and the two metrics."""
    e = study.data
    return SimpleNamespace(
        rows=e.rows,
        trials=e.trials,
        cells=tables.cells(e.rows, e.spec),
        looks=e.looks,
        hovers={trial: f"trial {trial}" for trial in range(8)},
        fd=metric_of("fd", study.spec),
        iw=metric_of("iw", study.spec),
    )


def learning_curves(seen, rows, metric, cost="images_seen", **more):
    options = {"hovers": seen.hovers, "highlighted": []} | more
    return curves.learning_curves(rows, metric, cost, seen.looks, **options)


def test_scratch_looks_the_same_whatever_the_sources_are():
    assert styles([])["scratch"] == styles(["scratch", "mdi"])["scratch"]


def test_fifty_six_sources_look_different_from_each_other_and_from_scratch():
    assert len(set(styles([f"s{i}" for i in range(56)]).values())) == 57


def test_a_source_keeps_its_look_whatever_the_order_and_whatever_comes_after_it():
    names = ["cats", "dogs", "insects", "mdi", "twemoji"]
    assert styles(names) == styles(names[::-1])
    for n in range(1, 6):
        assert styles(names[:n])["cats"] == styles(names)["cats"]
    assert len({look.colour for look in styles(names).values()}) == 6


def test_few_sources_have_the_colours_that_are_furthest_apart():
    assert {styles([f"s{i}" for i in range(5)])[f"s{i}"].colour for i in range(5)} == set(COLOURS[:5])


def test_learning_curves_have_a_trace_a_source_with_a_gap_between_trials(seen):
    figure = learning_curves(seen, seen.rows, seen.fd)
    assert [trace.name for trace in figure.data] == ["mdi", "twemoji", "mnist", "scratch"]
    x, y = figure.data[3].x, figure.data[3].y
    assert [None if math.isnan(value) else value for value in y] == [400, 220, 110, None, 500, 190]
    assert x[0] == 100
    assert math.isnan(x[3])


def test_every_point_of_a_curve_says_whose_it_is(seen):
    scratch = learning_curves(seen, seen.rows, seen.fd).data[3]
    assert list(scratch.hovertext) == ["trial 3"] * 3 + [""] + ["trial 4"] * 2
    assert "%{hovertext}" in scratch.hovertemplate


def test_highlighted_trials_are_thick_and_named_at_their_end(seen):
    figure = learning_curves(seen, seen.rows, seen.fd, "seconds", highlighted=[0])
    last = figure.data[-1]
    assert list(last.text) == ["", "", "", "<b>trial 0</b>"]
    assert last.line.width > 2 * figure.data[0].line.width
    assert last.line.color == seen.looks["mdi"].colour


def test_from_scores_of_few_images_to_one_of_more_a_curve_is_dotted(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80, 70], drawn=[256, 256, 1000])
    study.trial(1, "mdi", "both", [95, 85], drawn=[256, 256], status="stopped")
    study.trial(2, "scratch", "none", [99, 98, 97], drawn=[1000, 1000, 1000])
    data = study.data
    curve, dotted, scratch, step, thick = learning_curves(data, data.rows, data.metric, highlighted=[0]).data
    assert np.array_equal(curve.y, [90, 80, math.nan, 70, math.nan, 95, 85], equal_nan=True)
    assert np.array_equal(dotted.y, [80, 70, math.nan], equal_nan=True) and list(dotted.x[:2]) == [200, 300]
    assert (dotted.line.dash, dotted.showlegend, dotted.legendgroup) == ("dot", False, curve.legendgroup)
    assert list(scratch.y) == [99, 98, 97]
    assert (step.line.dash, step.line.width) == ("dot", thick.line.width)
    assert list(thick.text) == ["", "", "", "<b>trial 0</b>"]


def test_the_floor_is_a_dashed_line(seen):
    (line,) = learning_curves(seen, seen.rows, seen.fd, floor=20.0).layout.shapes
    assert (line.y0, line.y1, line.line.dash) == (20, 20, "dash")


def test_an_axis_is_logarithmic_when_values_lie_far_apart(seen):
    near = seen.rows[seen.rows["trial"] == 0]
    assert learning_curves(seen, seen.rows, seen.fd).layout.yaxis.type == "log"
    assert learning_curves(seen, near, seen.fd).layout.yaxis.type is None


def test_negative_metrics_have_a_linear_axis(seen):
    assert learning_curves(seen, seen.rows, seen.iw).layout.yaxis.type is None


def test_axes_say_which_way_is_better(seen):
    assert learning_curves(seen, seen.rows, seen.fd).layout.title.text == "FD (efficientnet_lite0), lower is better"
    assert learning_curves(seen, seen.rows, seen.iw).layout.title.text == "IW, nearer 0 is better"


def test_hours_have_their_unit_on_the_axis(seen):
    rows = seen.rows.rename(columns={"hours": "GPU-hours"})
    assert learning_curves(seen, rows, seen.fd, "GPU-hours").layout.xaxis.title.text == "GPU-hours"


def test_trade_off_rings_the_front_and_draws_every_trial_with_both_metrics(seen):
    both = seen.trials.dropna(subset=["fd", "iw"])
    on_front = tables.front(both, seen.fd, seen.iw)
    figure = scatter.trade_off(
        both, seen.fd, seen.iw, seen.looks, hovers=seen.hovers, on_front=on_front, named={2: "trial 2"}
    )
    ring, *points = figure.data
    assert list(zip(ring.x, ring.y, strict=True)) == [(60, -2.5), (95, -2)]
    assert sum(len(trace.x) for trace in points) == len(both) == 5
    assert [text for trace in points for text in trace.text if text] == ["trial 2"]


def test_bars_of_a_trade_off_say_what_they_are(seen):
    both = seen.trials.dropna(subset=["fd", "iw"])

    def axes(trials):
        on_front = tables.front(trials, seen.fd, seen.iw)
        layout = scatter.trade_off(trials, seen.fd, seen.iw, seen.looks, hovers=seen.hovers, on_front=on_front).layout
        return layout.xaxis.title.text, layout.title.text

    fd, iw = axes(both)
    assert axes(both.assign(iw_se=0.1)) == (fd, f"{iw}; bars: 1 standard error over images")
    assert "bars" not in fd + iw


def test_heat_map_cells_say_score_trials_and_seeds(seen):
    texts = [note.text for note in grids.source_by_way(seen.cells, seen.fd).layout.annotations]
    assert "<b>90</b><br>2 of 2<br>2 seeds:<br>90–95" in texts
    assert "<b>190</b><br>2 of 2<br>1 seed" in texts
    assert "no score<br>0 of 1" in texts


def test_heat_map_colours_are_centred_on_scratch_which_fills_its_row(seen):
    heat = grids.source_by_way(seen.cells, seen.fd).data[0]
    assert list(heat.z[0]) == [205, 205, 205]
    assert (heat.zmin + heat.zmax) / 2 == 205


def test_a_cell_is_no_bluer_for_the_best_of_many_trials(seen, new_study):
    study = new_study()
    for number, (source, value) in enumerate(
        [("mdi", 60), ("mdi", 100), ("mdi", 110), ("twemoji", 80), ("scratch", 85)]
    ):
        optim = {"lr_g": 1e-4 * (number + 1)}
        study.trial(number, source, "none" if source == "scratch" else "both", [value], optim=optim)
    data = study.data
    scratch, mdi, twemoji = (
        row[0] for row in grids.source_by_way(tables.cells(data.rows, data.spec), seen.fd).data[0].z
    )
    assert twemoji < scratch < mdi


def test_heat_map_of_a_metric_that_grows_is_still_blue_for_better(seen):
    cells = seen.cells.assign(mean=-seen.cells["mean"])  # -92.5 is better than -205
    heat = grids.source_by_way(cells, seen.iw).data[0]
    assert heat.z[1][2] < heat.z[0][2]


def test_heat_map_without_scratch_is_drawn(seen):
    cells = seen.cells[seen.cells["source"] == "mdi"]
    assert len(grids.source_by_way(cells, seen.fd).layout.annotations) == 2


def test_the_matrix_has_a_column_a_study_with_ranks_before_and_after(seen, study):
    column = matrix.column(seen.rows, study.spec, seen.fd, {"mdi": 1.0, "twemoji": 2.0})
    figure = grids.source_by_study([("one", column), ("two", column)])
    assert figure.layout.xaxis.ticktext == ("one", "two")
    texts = [note.text for note in figure.layout.annotations]
    assert texts.count("<b>75</b><br>rank 1 (before: 1)") == 2
    assert texts.count("no score") == 2
    assert figure.data[0].z[1][0] == pytest.approx(-35 / 110)


def test_intervals_of_gains_are_bars_from_low_to_high():
    gains = pd.DataFrame(
        {
            "source": ["mdi"] * 2,
            "way": ["both"] * 2,
            "cost": ["images", "seconds"],
            "share": [0.4, 0.3],
            "low": [0.1, math.nan],
            "high": [0.9, math.nan],
        }
    )
    images, seconds = scatter.forest(gains).data
    assert (images.error_x.array[0], images.error_x.arrayminus[0]) == pytest.approx((0.5, 0.3))
    assert (seconds.error_x.array[0], seconds.error_x.arrayminus[0]) == (0, 0)


def test_sizes_have_a_line_a_source_with_bars_from_seed_to_seed(study):
    e = study.data
    frame = pd.DataFrame(
        {
            "source": ["mdi", "mdi", "scratch"],
            "target_images": [1000, 100, 100],
            "mean": [50.0, 70, 90],
            "low": [50.0, 60, 90],
            "high": [50.0, 90, 90],
        }
    )
    mdi, scratch = lines.by_target_images(frame, e.metric, e.looks).data
    assert list(mdi.x) == [100, 1000]
    assert (list(mdi.error_y.array), list(mdi.error_y.arrayminus)) == ([20, 0], [10, 0])
    assert list(scratch.y) == [90]


def test_bounds_of_speed_ups_are_triangles(study):
    e = study.data
    images, _ = curves.speedups(thresholds.race(e.rows, e.gains[0], e.metric), e.metric).data
    assert list(images.x) == [160, 110, 95]  # and not where scratch never got, and had spent no more
    assert list(images.marker.symbol) == ["circle", "circle", "triangle-up"]


def test_fates_are_drawn_by_status_with_a_line_a_rung(study):
    e = study.data
    spent = spending.best_so_far(e.rows, e.spec, e.metric)
    figure = lines.fates(spent, [100, 300, 400], e.hovers)
    assert {trace.name: len(trace.x) for trace in figure.data} == {
        "completed": 3,
        "stopped": 2,
        "interrupted": 1,
        "diverged": 1,
        "failed": 1,
    }
    assert [line.y0 for line in figure.layout.shapes] == [100, 300, 400]


def no_trial(study):
    pass


def one_trial(study):
    study.trial(0, "mdi", "both", [90, 80], iw=[-3, -2])


def two_trials(study):
    one_trial(study)
    study.trial(1, "scratch", "none", [190, 180], iw=[-6, -5])


def many_trials(study):
    for number in range(24):
        source = ("mdi", "twemoji", "scratch")[number % 3]
        rates = {"lr_g": 10 ** (-4 + number / 12), "lr_d": 10 ** (-2 - number / 16)}
        study.trial(
            number,
            source,
            "none" if source == "scratch" else "both",
            [200 - number, 150 - number],
            iw=[-9, -8 + number / 10],
            seed=number % 2,
            optim=rates,
        )


def missing_metric(study):
    study.trial(0, "mdi", "both", [None, 80])
    study.trial(1, "scratch", "none", [90, None])
    study.trial(2, "mdi", "both", [float("nan"), float("inf")], iw=[None, -3])


def diverged_trial(study):
    two_trials(study)
    study.trial(2, "twemoji", "both", [200, 1e30], iw=[-1e9, None], status="diverged")
    study.trial(3, "twemoji", "both", [], status="failed")


def every_figure(e):
    """Each figure function on whatever the study has, guarded by nothing."""
    metric, iw = metric_of("fd", e.spec), metric_of("iw", e.spec)
    there = level(e.rows, metric)[1]
    spent = spending.best_so_far(e.rows, e.spec, metric)
    for cost in ("images_seen", "seconds", "hours"):
        yield curves.learning_curves(e.rows, metric, cost, e.looks, hovers=e.hovers, highlighted=[], floor=20.0)
    if e.gains:
        yield curves.speedups(thresholds.race(e.rows, e.gains[0], metric), metric)
    yield scatter.trade_off(e.ranked, metric, iw, e.looks, hovers=e.hovers, on_front=tables.front(e.ranked, metric, iw))
    yield grids.source_by_way(tables.cells(e.rows, e.spec), metric)
    yield grids.spread_by_way(there, metric, e.looks, e.hovers)
    yield grids.source_by_study([(e.spec.name, matrix.column(e.rows, e.spec, metric, {}))])
    yield lines.by_target_images(sizes.by_size(pooled([e]), [], metric), metric, e.looks)
    yield lines.best_so_far(spent, "core-hours", metric, e.looks, e.hovers)
    yield lines.fates(spent, [100, 300], e.hovers)
    yield parameters.importance({"source": 0.75, "seed": 0.25} if len(there) else {})
    yield parameters.slice_plot(there, "optim/lr_g", metric, e.looks, e.hovers, log=True)
    yield parameters.slice_plot(there, "seed", metric, e.looks, e.hovers, log=False)
    yield parameters.slice_plot(there, "loss/name", metric, e.looks, e.hovers, log=None)
    yield parameters.pair(there, "optim/lr_g", "optim/lr_d", metric, e.hovers, logs=[True, False])


STATES = [no_trial, one_trial, two_trials, many_trials, missing_metric, diverged_trial]


@pytest.mark.parametrize("fill", STATES)
def test_every_figure_is_drawn_in_any_state_of_a_study(new_study, fill):
    study = new_study()
    fill(study)
    drawn = list(every_figure(study.data))
    assert len(drawn) >= 15
    for figure in drawn:
        shown = json.loads(figure.to_json(engine="json"), parse_constant=pytest.fail)
        assert shown["layout"]["height"] > 50


@pytest.mark.parametrize("name", [EVIL, "a&b"])
@pytest.mark.slow
def test_names_are_escaped_in_every_figure(new_study, name):
    from dataclasses import replace

    study = new_study()
    many_trials(study)
    e = study.data
    rows = e.rows.assign(source=e.rows["source"].replace({"mdi": name}))
    spec = e.spec.model_copy(update={"name": name})
    evil = replace(e, rows=rows.rename(columns={}), spec=spec, looks=styles(rows["source"].unique()))
    for figure in every_figure(evil):
        shown = str(figure.to_dict())
        assert name not in shown, shown
    legends = str([figure.to_dict() for figure in every_figure(evil)])
    assert "&lt;script" in legends or "a&amp;b" in legends


def test_long_names_are_cut_in_ticks(seen):
    cells = seen.cells[seen.cells["source"] == "mdi"].assign(source="x" * 100)
    (tick,) = grids.source_by_way(cells, seen.fd).layout.yaxis.ticktext
    assert tick == "x" * 17 + "…"


def test_a_source_as_it_is_is_one_point_at_the_cost_of_its_evaluation_and_can_be_highlighted(unbeaten):
    e = unbeaten.data
    for cost in ("images_seen", "seconds", "hours"):
        options = {"hovers": e.hovers, "highlighted": [2]}
        *_, last = curves.learning_curves(e.rows, e.metric, cost, e.looks, **options).data
        spent = {"images_seen": 0, "seconds": 6, "hours": pytest.approx(6 / 3600)}[cost]  # its evaluation
        assert (list(last.x), list(last.y), list(last.text)) == ([spent], [50], ["<b>trial 2</b>"])
        if cost == "images_seen":
            assert (last.cliponaxis, last.textposition) == (False, "bottom right")  # whole, and inside of the figure


def test_a_curve_of_sources_as_they_are_alone_is_drawn(new_study):
    study = new_study()
    study.as_is(0, "mdi", 50)
    e = study.data
    (trace,) = curves.learning_curves(e.rows, e.metric, "images_seen", e.looks, hovers=e.hovers, highlighted=[]).data
    assert (list(trace.x), list(trace.y)) == ([0], [50])


def test_the_source_as_it_is_has_a_column_beside_the_networks(baseline):
    e = baseline.data
    figure = grids.source_by_way(tables.cells(e.rows, e.spec), e.metric)
    assert figure.layout.xaxis.ticktext == ("as it is", "both")
    assert figure.layout.xaxis.title.text == "networks copied, or the method"
    assert [list(row) for row in figure.data[0].z[:2]] == [[110, 110], [80, 75]]
    spread = grids.spread_by_way(tables.at_budget(e.rows, 300), e.metric, e.looks, e.hovers)
    assert spread.layout.xaxis.ticktext == ("none", "as it is", "both")


def test_a_cell_of_the_matrix_says_that_its_source_was_not_trained(unbeaten):
    column = matrix.column(unbeaten.data.rows, unbeaten.spec, unbeaten.data.metric, {"mdi": 1.0})
    texts = [note.text for note in grids.source_by_study([("one", column)]).layout.annotations]
    assert "<b>50</b><br>rank 1 (before: 1)<br>as it is" in texts


def test_two_parameters_are_drawn_against_each_other_where_a_method_has_neither(study):
    there = level(study.data.rows, study.data.metric)[1]
    there = there.assign(**{"optim/lr_g": [1e-5, 1e-4, 1e-3, 1e-2, None, None]})
    figure = parameters.slice_plot(
        there, "optim/lr_g", study.data.metric, study.data.looks, study.data.hovers, log=True
    )
    assert sum(len(trace.x) for trace in figure.data) == 4
