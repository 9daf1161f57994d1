"""What the section of target set sizes says."""

import pytest
from report_sections import one_transfer, read


def test_one_target_set_size_says_what_to_run_for_another(found):
    assert found["sizes"].lead == (
        "Not enough data: every trial with a score has 1,000 target images; for 250 images, to be reported together with "
        "this study, run `understock search phosphor --space quickstart --target-images 250 --max-images 400 --sources "
        "mdi,twemoji,mnist --name phosphor-250-images`."
    )


@pytest.mark.parametrize(
    ("shots", "count", "flags"),
    [(3, "1 image of each class", "--shots 1"), (1, "2 images of each class", "--shots 2")],
)
def test_another_size_is_counted_as_the_study_counts_its_images(new_study, shots, count, flags):
    base = {**new_study().spec.base.model_dump(), "data": {"shots": shots}}
    study = new_study(base=base)
    one_transfer(study)
    lead = read(study)["sizes"].lead
    assert f"for {count}, to be reported" in lead
    assert f" {flags} " in lead and "--target-images" not in lead


@pytest.mark.slow
def test_what_was_not_trained_is_left_out_of_sizes_and_parameters(baseline):
    found = read(baseline)
    assert [row[0] for row in found["parameters"].sheets[-1].rows] == ["0", "1", "2"]
    baseline.trial(5, "scratch", "none", [150, 140, 130], data={"target_images": 100})
    baseline.trial(6, "mdi", "both", [150, 140, 120], data={"target_images": 100})
    sizes = read(baseline)["sizes"]
    assert sizes.notes[-1] == "A source as it is, which trains on no image, is left out."
    assert {row[0] for row in sizes.sheets[-1].rows} == {"mdi", "scratch"}
