"""What the section of two metrics' agreement says."""

import pytest
from report_sections import read


def test_agreement_states_front_rank_correlation_and_the_most_disputed_trial(found):
    lead = found["agreement"].lead
    assert lead.startswith("2 of 5 trials on the Pareto front; the two metrics agree")
    assert "0.80" in lead
    assert lead.endswith(" They are furthest apart on trial 0 (mdi): number 1 by FD, 2 by IW.")


def test_iw_has_its_standard_error_beside_it_and_bars_in_the_figure(new_study):
    study = new_study()
    for number in range(3):
        facts = {"iw_se": 0.1 * (number + 1), "iw_protocol": "critics"}
        study.trial(number, "mdi", "both", [90 + number], iw=[-1 - number], facts=facts)
    block = read(study)["agreement"]
    assert "standard error of IW" in block.sheets[0].columns
    bars = [list(trace.error_y.array) for trace in block.plots[0].figure.data if trace.error_y.array is not None]
    assert bars == [[0.1, 0.2, pytest.approx(0.3)]]
