"""The credentials file."""

import os
from pathlib import Path

import pytest

from nextpick.store import keys


def test_the_first_start_makes_one_administrator_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    made = keys.ensure_administrator(path, "123456789012")
    assert keys.ensure_administrator(path, "999999999999") == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert (len(made.access_key), made.account) == (20, "123456789012")


def test_a_key_added_to_the_file_is_found_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    first = keys.ensure_administrator(path, "000000000000")
    file = keys.KeyFile(path)
    assert file.find(first.access_key) == first
    assert file.find("AKIAOTHER") is None
    with path.open("a") as out:
        out.write(
            "[other]\naws_access_key_id = AKIAOTHER\n"
            "aws_secret_access_key = s\nnextpick_account = 111122223333\n"
        )
    found = file.find("AKIAOTHER")
    assert found is not None
    assert found.account == "111122223333"


@pytest.mark.parametrize(("line", "said"), [("nextpick_account = 12", "12 digits"), ("", "nextpick_account")])
def test_a_profile_that_lacks_something_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"[bob]\naws_access_key_id = A\naws_secret_access_key = s\n{line}\n")
    os.chmod(path, 0o600)
    with pytest.raises(ValueError, match=f"bob.*{said}|{said}.*bob"):
        keys.read(path)
