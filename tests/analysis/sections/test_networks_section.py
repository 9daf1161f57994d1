"""What the section of transferred networks says."""

from analysis.sections import networks


def test_networks_are_ordered_by_the_median_over_sources(found):
    assert found["networks"].lead == (
        "From best to worst, by the median over sources of the mean over trials: generator only (130), both networks (131.2), "
        "nothing transferred (205); 3 of 3 cells with transfer beat scratch (205)."
    )


def test_what_has_no_source_and_images_handed_on_are_no_cell_with_a_source(handed_on):
    (found,) = networks.section([handed_on.data]).blocks
    assert found.lead == (
        "From best to worst, by the median over sources of the mean over trials: augmented (30), as it is (50), both networks "
        "(90), nothing transferred (220); beside them, making no images: mnist untranslated (10); 2 of 2 cells with a source "
        "beat scratch (220)."
    )


def test_images_handed_on_are_the_best_use_of_networks_in_no_study(handed_on):
    lead = networks.section([handed_on.data, handed_on.data]).lead
    assert lead == "Best by study: augmented in 2 of 2 studies."


def test_images_handed_on_alone_tell_nothing_of_networks(new_study):
    study = new_study()
    study.untrained(0, "untranslated", "mdi", 10)
    (found,) = networks.section([study.data]).blocks
    assert found.lead.startswith("Not enough data: no trial that makes images has a score; ")
