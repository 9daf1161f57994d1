"""What the section of the protocol says: how scores were measured, and which of them compare."""

import pytest
from report_sections import read, with_column

from analysis.commands import search_command
from search.records.results import write_trial
from spaces.trials import parse_trial


def test_protocol_holds_spec_versions_digests_and_the_command(found, study):
    section = found["protocol"]
    facts = dict(section.sheets[0].rows)
    assert facts["protocol: feature extractor"] == "efficientnet_lite0"
    assert facts["protocol: FD (efficientnet_lite0) floor"] == "20"
    assert (facts["version: torch"], facts["digest: domain:phosphor"], facts["trial: seed"]) == ("2.15", "d0", "0, 1")
    assert section.texts[0].body == study.spec.model_dump_json(indent=2)
    assert section.commands[0][1] == search_command(study.spec)


def test_rows_measured_in_different_ways_are_warned_of(study, tmp_path):
    mixed = with_column(study, tmp_path, "extractor", "inception")
    assert "Careful: extractor differ among rows, so their metrics do not compare" in read(mixed)["protocol"].lead


def test_rungs_of_fewer_images_are_no_mixture(study, tmp_path):
    whole = with_column(study, tmp_path / "whole", "n_drawn", 1_000)
    lead = read(with_column(whole, tmp_path / "rungs", "n_drawn", 256))["protocol"].lead
    assert "Careful" not in lead and "At rungs fewer images are drawn (n_drawn)" in lead


@pytest.mark.slow
def test_a_method_that_trained_by_what_it_is_measured_by_is_warned_of(new_study):
    by_iw = {"protocol": {"metrics": ("iw", "fd")}}
    base = {
        "target": "phosphor",
        "source": "scratch",
        "network": {},
        "budget": {"images": 400, "eval_every_images": 400},
    }
    study = new_study(base={**base, **by_iw})
    study.trial(0, "mdi", "both", [60], iw=[-3.0], every=400)
    assert "Careful" not in read(study)["protocol"].lead
    unpenalised = {"loss": {"name": "hinge", "penalty": 0}, "method": "projected", "source": "mdi"}
    config = parse_trial({**base, **by_iw, **unpenalised}, "test")
    row = {
        "images_seen": 400,
        "iterations": 10,
        "train_seconds": 1.0,
        "fd": 5.0,
        "iw": -2.0,
        "extractor": "efficientnet_lite0",
    }
    path = study.paths.evaluation(1)
    write_trial(path, config, study=study.spec.name, trial=1, status="completed", evaluations=[row])
    learnt = read(study)["protocol"].lead
    assert "projected trained by the features of efficientnet_lite0, by which distances, IW" in learnt
    assert "of these trials nothing of that compares, but pair error" in learnt


@pytest.mark.slow
def test_studies_that_were_measured_in_different_ways_are_flagged(study, new_study, tmp_path):
    other = new_study(name="phosphor-2")
    other.trial(0, "scratch", "none", [50], facts={"input_size": 96})
    assert read(study, other)["protocol"].lead == (
        "Careful: the studies were not measured alike (pixels a side at the extractor differ), so their scores do not compare."
    )


@pytest.mark.slow
def test_another_protocol_of_iw_leaves_fd_comparable_and_iw_not(new_study):
    def lead(metric):
        base = new_study(name="x").spec.base.model_dump() | {"protocol": {"metrics": [metric, "kd"]}}
        studies = [new_study(name=f"{metric}-{n}", base=base) for n in (1, 2)]
        for study, said in zip(studies, (None, "critics on features"), strict=True):
            study.trial(0, "scratch", "none", [50], iw=[-3], facts={"iw_protocol": said})
        return read(*studies)["protocol"].lead

    assert lead("fd") == "The studies have one target and were measured alike: their scores compare."
    assert "not measured alike (protocol of IW differ)" in lead("iw")
