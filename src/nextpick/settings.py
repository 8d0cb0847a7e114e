"""Every setting: one table, read once, frozen.

A setting is a field of ``Settings``; its variable is ``NEXTPICK_`` and the upper-case name; the unit is in
the name. ``docs/settings.md`` is made from this file.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can choose. Field order is the order of the settings reference."""

    home: Path = _setting(Path("~/.nextpick"), "Directory that holds everything; made with mode 0700.")
    region: str = _setting("us-east-1", "Region that `nextpick env` prints; requests carry their own.")
    account: str = _setting(
        "000000000000", "Account of the administrator key made at first start, 12 digits."
    )
    describe_wait_s: float = _setting(
        10.0, "Longest time a Describe waits for a running job before it answers; 0 answers at once."
    )
    tombstone_s: float = _setting(2.0, "How long a deleted resource stays describable as DELETE IN_PROGRESS.")
    max_body_bytes: int = _setting(10 * 1024 * 1024, "Largest request body.")
    header_timeout_s: float = _setting(10.0, "Longest time a request's headers may take to arrive.")
    body_timeout_s: float = _setting(20.0, "Longest pause between two pieces of a request's body.")
    clock_skew_s: float = _setting(300.0, "Largest difference between a request's time and ours.")
    min_interactions: int = _setting(1000, "Fewest interactions a training needs.")
    min_users: int = _setting(25, "Fewest users with at least two interactions a training needs.")
    bad_row_share: float = _setting(0.01, "Share of rows with bad cells an import tolerates.")
    import_block_bytes: int = _setting(8 * 1024 * 1024, "Bytes of CSV read and typed at a time.")
    seed: int = _setting(0, "Seed of trainings: the same data and seed give the same model, byte for byte.")
    job_slots: int = _setting(2, "Jobs that run at the same time.")
    job_attempts: int = _setting(3, "How often a job is started before it is failed.")
    count_quotas: bool = _setting(
        True, "Whether the number of resources is limited as in Amazon Personalize."
    )
    auto_training: bool = _setting(
        True, "Whether solutions with performAutoTraining are trained on schedule."
    )
    auto_training_delay_s: float = _setting(
        60.0,
        "Time between a solution's creation and its first automatic training, for a manual one to come first.",
    )
    auto_reports: bool = _setting(
        True,
        "Whether each training is followed by an evaluation, and each import by a health report; both can be asked "
        "for otherwise.",
    )
    tuning_s: float = _setting(
        3600.0,
        "How long HPO may try hyperparameters, the first trials aside; the best so far is taken.",
    )
    refresh_after_s: float = _setting(
        60.0,
        "Time between trainings of a version that follows its data: aws-trending-now, and aws-semantic-similarity "
        "with performIncrementalUpdate.",
    )
    attribution_every_s: float = _setting(
        10.0, "Longest time until an event is in the sums of its metric attribution."
    )
    compact_after_s: float = _setting(
        86_400.0, "Age at which streamed events and records leave the log for their dataset."
    )
    rate_quotas: bool = _setting(
        False,
        "Whether the rate of requests is limited as in Amazon Personalize, with ThrottlingException beyond it.",
    )
    neighbours: bool = _setting(
        True, "Whether S3, STS and IAM are spoken too; S3 only where s3_endpoint is empty."
    )
    strict_access: bool = _setting(
        False,
        "Whether a job's role must exist and its buckets' policies must name the Personalize service, "
        "and whether a bucket policy can deny the administrator; otherwise what was never set up is not asked.",
    )
    s3_endpoint: str = _setting("", "URL of an S3 service for s3:// locations; empty reads HOME/buckets.")
    s3_access_key_id: str = _setting("", "Access key for s3_endpoint.")
    s3_secret_access_key: str = _setting("", "Secret key for s3_endpoint.")
    s3_region: str = _setting("us-east-1", "Region for s3_endpoint.")
    smtp_url: str = _setting(
        "", "Mail server for notifications: smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://…:465."
    )
    mail_from: str = _setting("nextpick@localhost", "Sender of notifications by mail.")
    functions: str = _setting(
        "loopback",
        "When functions may be deployed and run: `loopback` (while the server listens on a loopback address), "
        "`always`, `never`.",
    )
    function_concurrency: int = _setting(50, "Invocations of functions that run at the same time.")
    function_idle_s: float = _setting(600.0, "How long a warm process of a function waits for work.")
    function_retry_s: float = _setting(
        60.0,
        "Time before an asynchronous invocation that failed is tried again; twice that before a third time.",
    )
    trace_segments: int = _setting(100_000, "Most segments of traces that are kept; the oldest go first.")
    function_log_bytes: int = _setting(10 * 1024 * 1024, "Most bytes that the log of one function takes.")
    log_level: str = _setting("info", "Least level that is logged: debug, info, warning, error.")

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> "Settings":
        """Read the settings: ``given`` wins over the environment, the environment over the defaults.

        Warns of an unknown ``NEXTPICK_*`` variable; raises ValueError naming a variable that cannot be read.
        """
        known = {"NEXTPICK_" + f.name.upper(): f for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in environ.items():
            if name in known:
                values[known[name].name] = _parse(name, text, known[name].default)
            elif name.startswith("NEXTPICK_") and name not in _OTHERS:
                warnings.warn(f"{name} is not a setting of nextpick; see docs/settings.md", stacklevel=2)
        values.update({k: v for k, v in given.items() if v is not None})
        settings = cls(**values)
        object.__setattr__(settings, "home", Path(settings.home).expanduser().absolute())
        return settings

    def environ(self) -> dict[str, str]:
        """Return the variables from which ``load`` makes these settings again, in another process."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
        }
        return {f"NEXTPICK_{name.upper()}": text for name, text in texts.items()}


_OTHERS = {"NEXTPICK_DATA"}  # read by the demo, tests and benchmarks, not by the server


def _parse(name: str, text: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                text.lower()
            ]
        return type(default)(text)
    except (KeyError, ValueError):
        raise ValueError(f"{name}={text!r} cannot be read as {type(default).__name__}") from None
