"""What the section of sources by targets says."""

import pytest
from report_sections import read

from analysis.contents import contents
from analysis.sections import matrix
from analysis.study_data import StudyData


@pytest.mark.slow
def test_the_matrix_judges_the_rank_before_training(study, tmp_path):
    spec = study.spec.model_copy(update={"ranking": {"twemoji": 200.0, "mdi": 210.0, "mnist": 300.0}})
    (found,) = contents(StudyData.of(study.home, [(study.paths, spec)]))[3].blocks
    assert found.lead == (
        "phosphor-1 (target phosphor): mdi is best of 2 sources, and 1 beat scratch; ranked first before training was "
        "twemoji, which costs 45 against the best."
    )
    assert found.sheets[1].rows[0] == ["twemoji", "1", "200"]


@pytest.mark.slow
def test_the_matrix_and_the_networks_say_which_were_not_trained(baseline, unbeaten):
    assert "mdi, as it is, is best of 1 source" in read(unbeaten)["matrix"].lead
    assert read(baseline)["matrix"].sheets[0].rows[3][2:6] == ["twemoji", "300", "as it is", "120"]
    assert read(baseline)["networks"].lead == (
        "From best to worst, by the median over sources of the mean over trials: both networks (75), as it is (100), nothing "
        "transferred (110); 2 of 3 cells with a source beat scratch (110)."
    )


def test_the_matrix_counts_only_sources(handed_on, new_study):
    (found,) = matrix.section([handed_on.data]).blocks
    assert "mdi, as it is, is best of 1 source, and 1 beat scratch" in found.lead
    study = new_study(name="few")
    study.untrained(0, "augmented", "scratch", 30, data={"shots": 3})
    (found,) = matrix.section([study.data]).blocks
    assert found.lead.startswith("Not enough data: no source model has a score; ")
