import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from spaces.errors import UserError
from trainables.storage.weights import dump_tensors, read_tensors, write_tensors


@pytest.mark.parametrize("content", [b"", b"short", pickle.dumps({"generator": 1})])
def test_what_is_no_safetensors_file_is_never_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"g\.pt is not a whole safetensors file.*never read"):
        read_tensors(tmp_path / "g.pt")


def test_a_truncated_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    write_tensors({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        read_tensors(path)


def test_tensors_come_back_bit_for_bit_with_what_the_file_says_of_itself(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "n": torch.tensor(7)}
    write_tensors(tensors, tmp_path / "t.safetensors", {"config": "{}"})
    found, about = read_tensors(tmp_path / "t.safetensors")
    assert about == {"config": "{}"}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("about", [{}, {"config": "{}"}])
def test_no_tensors_at_all_come_back_as_none(tmp_path: Path, about: dict[str, str]) -> None:
    write_tensors({}, tmp_path / "t.safetensors", about)
    assert read_tensors(tmp_path / "t.safetensors") == ({}, about)
    assert load(dump_tensors({}, about)) == {}


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    write_tensors({"a": torch.ones(1)}, tmp_path / "t.safetensors")
    os.umask(before)
    assert (tmp_path / "t.safetensors").stat().st_mode & 0o777 == 0o644
