import pytest

from spaces.errors import UserError
from verbs.submission import for_the_cluster

LINES = {
    "search cats --submit http://h:8265": "search cats --address auto",
    "search --submit=http://h:8265 cats --trials 3": "search cats --trials 3 --address auto",
    "search cats --working-dir . --submit u --space mine.py:space": "search cats --space mine.py:space --address auto",
    "search cats --submit u --home /mnt/shared": "search cats --home /mnt/shared --address auto",
    "search cats --home=s3://b/p --submit u": "search cats --home s3://b/p --address auto",
}


@pytest.mark.parametrize("line", LINES)
def test_a_job_has_the_command_line_without_what_is_for_this_machine(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTOCK_HOME", raising=False)
    assert for_the_cluster(line.split()) == LINES[line].split()


def test_a_home_of_the_environment_goes_along_only_if_it_is_an_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTOCK_HOME", "/home/me/.understock")
    assert "--home" not in for_the_cluster(["search", "cats", "--submit", "u"])
    monkeypatch.setenv("UNDERSTOCK_HOME", "s3://bucket/prefix")
    assert for_the_cluster(["search", "cats", "--submit", "u"])[2:4] == ["--home", "s3://bucket/prefix"]


def test_a_job_has_no_address_of_its_own() -> None:
    with pytest.raises(UserError, match="exclude each other"):
        for_the_cluster(["search", "cats", "--submit", "u", "--address", "auto"])


@pytest.mark.parametrize("address", ["http://me:s3cret@127.0.0.1:9", "ftp://me:s3cret@127.0.0.1:9"])
def test_the_password_of_an_address_is_not_echoed(address: str) -> None:
    from search.running.jobs import submit

    with pytest.raises(UserError, match=r"127\.0\.0\.1:9") as refused:
        submit(address, ["search"], "x")
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)
