"""Traces: the header, the store, what segments add up to."""

from pathlib import Path

import pytest

from nextpick.tracing import header
from nextpick.tracing.header import Trace
from nextpick.tracing.report import service_map, summaries, tree
from nextpick.tracing.store import Recorder, Segment, read

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        (f"Root={ROOT};Parent={PARENT};Sampled=1", Trace(ROOT, PARENT, True)),
        (f"Self=1-67891234-12456789abcdef012345678;Root={ROOT}", Trace(ROOT)),
        (f"Root={ROOT}; Sampled=0", Trace(ROOT, "", False)),
        (f"Root={ROOT};Parent=x;Sampled=?", Trace(ROOT)),
        ("Root=1-x", None),
        ("", None),
        (None, None),
    ],
)
def test_a_header_is_read_as_far_as_it_says_something(text: str | None, trace: Trace | None) -> None:
    assert header.parse(text) == trace
    if trace is not None:
        assert header.parse(trace.header) == trace


def segment(
    own: str, parent: str, origin: str, name: str, start: float, end: float, status: int = 200
) -> Segment:
    return Segment(ROOT, own, parent, origin, name, "", start, end, status)


PARTS = [
    segment("c", "b", "", "Invocation", 2, 8, 500),
    segment("a", "elsewhere", "Stage", "movies/dev", 0, 10, 502),
    segment("e", "c", "Service", "s3", 5, 6),
    segment("b", "a", "Function", "recommend", 1, 9, 500),
    segment("d", "c", "Service", "s3", 3, 4, 404),
]


def test_a_trace_is_a_tree_in_the_order_of_time() -> None:
    assert [(depth, part.id) for depth, part in tree(PARTS)] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (3, "d"),
        (3, "e"),
    ]
    (summary,) = summaries(PARTS)
    assert (summary.first.id, summary.seconds, summary.fault) == ("a", 10, "fault")


def test_a_map_has_the_services_with_their_times_and_errors() -> None:
    stage, function, s3 = service_map(sorted(PARTS, key=lambda part: part.started))
    assert (stage.requests, stage.faults, stage.calls) == (1, 1.0, ("Function recommend",))
    assert function.calls == ("Service s3",)
    assert (s3.requests, s3.errors, s3.faults, s3.median_ms, s3.calls) == (2, 0.5, 0.0, 1000.0, ())


def test_the_oldest_segments_go_first(tmp_path: Path) -> None:
    for start in (0, 50):  # as two processes would, one after the other
        recorder = Recorder(tmp_path, most=60)
        for number in range(start, start + 50):
            recorder.keep(segment(str(number), "", "Stage", "s", number, number + 1))
        recorder.close()
    assert [part.id for part in read(tmp_path)] == [str(number) for number in range(40, 100)]
    assert [part.id for part in read(tmp_path, since=99)] == ["98", "99"]
    assert read(tmp_path, trace="none") == read(tmp_path / "nowhere") == []
