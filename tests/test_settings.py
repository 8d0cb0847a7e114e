"""Settings: where they come from, and what is said of a wrong one."""

from dataclasses import fields
from pathlib import Path

import pytest

from nextpick.settings import Settings


def test_what_is_given_wins_over_the_environment_and_that_over_the_default() -> None:
    settings = Settings.load({"NEXTPICK_REGION": "eu-west-1", "NEXTPICK_JOB_SLOTS": "7"}, region="ap-east-1")
    assert (settings.region, settings.job_slots, settings.job_attempts) == ("ap-east-1", 7, 3)


def test_an_unknown_variable_warns() -> None:
    with pytest.warns(UserWarning, match="NEXTPICK_REGOIN"):
        Settings.load({"NEXTPICK_REGOIN": "x"})


def test_a_variable_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="NEXTPICK_JOB_SLOTS='many'"):
        Settings.load({"NEXTPICK_JOB_SLOTS": "many"})


def test_home_is_made_absolute() -> None:
    assert Settings.load({}, home=Path("x")).home.is_absolute()


def test_settings_survive_the_way_through_an_environment(tmp_path: Path) -> None:
    given = Settings(
        home=tmp_path, describe_wait_s=0.25, count_quotas=False, job_slots=7, s3_region="eu-west-1"
    )
    assert Settings.load(environ=given.environ()) == given
    assert len(given.environ()) == len(fields(Settings))
