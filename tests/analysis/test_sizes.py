import pandas as pd
import pytest

from analysis.findings.sizes import by_size, worth
from spaces.protocol import METRICS
from spaces.trials import parse_trial

FD = METRICS["fd"]
COLUMNS = ["source", "target_images", "mean"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_images_are_worth_what_scratch_needs_over_the_logarithm_of_their_number():
    sizes = table(("scratch", 100, 400.0), ("scratch", 1000, 200.0), ("mdi", 100, 300.0), ("mdi", 1000, 150.0))
    small, large = worth(sizes, FD)
    assert (small.images, small.source, small.bound) == (100, "mdi", "")
    assert small.scratch_images == pytest.approx(10**2.5)
    assert (large.scratch_images, large.bound) == (pytest.approx(1000), "more than")


def test_the_best_source_at_each_size_counts():
    sizes = table(("scratch", 10, 9.0), ("scratch", 100, 5.0), ("mdi", 10, 8.0), ("twemoji", 10, 7.0))
    (found,) = worth(sizes, FD)
    assert (found.source, found.scratch_images) == ("twemoji", pytest.approx(10**1.5))


def test_a_transfer_that_harms_is_worth_fewer_images():
    sizes = table(("scratch", 10, 9.0), ("scratch", 100, 5.0), ("mdi", 100, 20.0))
    assert worth(sizes, FD)[0].bound == "fewer than"


def test_scratch_that_got_worse_with_more_images_counts_as_no_better():
    sizes = table(("scratch", 10, 5.0), ("scratch", 100, 9.0), ("mdi", 10, 4.0))
    assert worth(sizes, FD)[0].bound == "more than"


def test_one_size_of_scratch_says_nothing_of_worth():
    assert worth(table(("scratch", 10, 5.0), ("mdi", 10, 4.0)), FD) == []


def test_each_source_and_size_has_its_best_configuration_over_seeds(new_study):
    study = new_study()
    for number, (source, size, seed, value) in enumerate(
        [
            ("mdi", 100, 0, 50),
            ("mdi", 100, 1, 70),
            ("mdi", 1000, 0, 40),
            ("scratch", 100, 0, 90),
            ("scratch", 1000, 0, 80),
        ]
    ):
        study.trial(
            number,
            source,
            "none" if source == "scratch" else "both",
            [200, value],
            seed=seed,
            data={"target_images": size},
        )
    found = by_size(study.data.rows, [], FD).set_index(["source", "target_images"])
    assert found.loc[("mdi", 100), ["mean", "low", "high", "seeds"]].tolist() == [60, 50, 70, 2]
    assert found["mean"].tolist() == [60, 40, 90, 80]
    assert set(found["images_seen"]) == {200}


@pytest.mark.slow
def test_sizes_of_two_studies_of_one_target_are_told_together(new_study):
    from analysis.contents import contents
    from analysis.study_data import StudyData

    whole = new_study(name="whole")
    base = whole.spec.base.model_dump() | {"data": {"target_images": 100}}
    small = new_study(name="small", base=parse_trial(base, "test").model_dump(), train_images=100)
    for study, value in ((whole, 100), (small, 200)):
        study.trial(0, "mdi", "both", [value], data=study.spec.base.data.model_dump())
        study.trial(1, "scratch", "none", [2 * value], data=study.spec.base.data.model_dump())
    both = StudyData.of(whole.home, [(study.paths, study.spec) for study in (whole, small)])
    section = next(part for part in contents(both) if part.anchor == "sizes")
    assert len(section.blocks) == 1
    assert section.blocks[0].lead == (
        "100 images with transfer from mdi are worth 1,000 without; 1,000 from mdi, more than 1,000, by FD (efficientnet_lite0)."
    )


def test_what_two_studies_differ_in_is_no_second_seed_of_one_configuration(new_study):
    from analysis.sections.sizes import section
    from analysis.study_data import StudyData

    studies = [new_study(name="narrow"), new_study(name="wide")]
    for study, width, value in zip(studies, (16, 32), (100, 60), strict=True):
        for number, (source, size) in enumerate((s, n) for s in ("scratch", "mdi") for n in (100, 1000)):
            parts = "none" if source == "scratch" else "both"
            data, network = {"target_images": size}, {"width": width}
            study.trial(number, source, parts, [value + 5 * number], data=data, network=network)
    both = StudyData.of(studies[0].home, [(study.paths, study.spec) for study in studies])
    found = section(both).blocks[0].sheets[-1]
    scores = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert [row["mean FD (efficientnet_lite0)"] for row in scores] == ["70", "75", "60", "65"]
    assert {row["seeds"] for row in scores} == {"1"}


def test_a_source_as_it_is_has_no_size(baseline):
    rows = baseline.data.rows.assign(**{"data/target_images": 1000})
    found = by_size(rows, [], FD)
    assert found["source"].tolist() == ["mdi", "scratch"]
    assert found["trials"].tolist() == [2, 1]
