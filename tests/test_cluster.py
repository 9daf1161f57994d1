from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parent.parent / "cluster.yaml"


def prepared() -> dict[str, object]:
    config = prepare_config(yaml.safe_load(CLUSTER.read_text()))
    config.setdefault("cluster_synced_files", [])
    return dict(config)


def test_cluster_yaml_fits_rays_own_schema() -> None:
    validate_config(prepared())


def test_the_schema_would_refuse_an_unknown_key() -> None:
    with pytest.raises(Exception, match="max_wrokers"):
        validate_config(prepared() | {"max_wrokers": 3})


def test_workers_are_spot_and_scale_from_none() -> None:
    worker = yaml.safe_load(CLUSTER.read_text())["available_node_types"]["gpu"]
    assert worker["min_workers"] == 0
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
