"""isolation: what a fixture that isolates adds to a test."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from .report import Report, Row
from .workspace import PROBES, Workspace, must, require_engine

TESTS = 100
METHOD = f"""\
The same test body with the isolating fixture and without, {TESTS} tests each, in one run of pytest:
blocks of ten equal tests, back to back, take turns. Wall time of setup, call and teardown together;
the difference of the medians; "fastest runs": that of the first deciles. The bodies are in probes/test_isolation.py."""


@dataclass(frozen=True)
class Isolation:
    what: str
    plain: str
    isolated: str
    target: float
    embedded_counts: bool = True


ISOLATIONS = [
    Isolation("postgres_session", "test_sql_plain", "test_sql_rolled_back", 1),
    Isolation("postgres_committed", "test_sql_plain", "test_sql_committed", 1),
    Isolation("postgres_database", "test_database_plain", "test_database_private", 20),
    Isolation("redis_client", "test_redis_plain", "test_redis_emptied", 0.5),
    # The embedded broker is not Kafka itself: what it costs is for information.
    Isolation(
        "kafka_topic + kafka_observer",
        "test_kafka_plain",
        "test_kafka_topic_and_observer",
        10,
        embedded_counts=False,
    ),
]


def measure(workspace: Workspace) -> Report:
    require_engine()
    rows = []
    for mode in ("embedded", "containers"):
        seconds = run(workspace, mode)
        for each in ISOLATIONS:
            plain, isolated = seconds[each.plain], seconds[each.isolated]
            what = f"{each.what}, {mode} (on a test of {median(plain) * 1000:.1f} ms)"
            added = (median(isolated) - median(plain)) * 1000
            undisturbed = (fastest(isolated) - fastest(plain)) * 1000
            counts = mode == "containers" or each.embedded_counts
            rows.append(Row(what, added, "ms", each.target if counts else None, undisturbed))
    return Report("isolation", METHOD, rows)


def fastest(seconds: list[float]) -> float:
    """Where the fastest tenth ends."""
    return quantiles(seconds, n=10)[0]


def run(workspace: Workspace, mode: str) -> dict[str, list[float]]:
    """Seconds of each test by the name of its function."""
    result = workspace.folder / "isolation.json"
    environment = {
        "BENCHMARK_TESTS": str(TESTS),
        "BENCHMARK_RESULT": str(result),
        "PYTHONPATH": str(PROBES),
    }
    options = ("-m", "", "-p", "no:randomly", "-p", "benchmark_timing", "--servers", mode)
    with workspace.probe_module("test_isolation.py") as module:
        must(workspace.service.pytest(*options, str(module), env=environment))
    seconds: dict[str, list[float]] = json.loads(Path(result).read_text())
    return seconds
