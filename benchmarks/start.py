"""start: how long the servers of a run take until they answer, and what a warm run costs."""

import time
from statistics import median

from .report import Report, Row
from .workspace import ALL, Workspace, must, require_engine

ROUNDS = {"embedded": 7, "containers": 5}
WARM_ROUNDS = 7
METHOD = """\
From the request for servers to the last one's answer, in a process of its own that uses the testbed
as pytest does: each server alone and all together, in turns; the median of the rounds' ratios.
A warm run is `pytest -m integration` of one test that takes postgres_session, redis_client and
kafka_topic from services that `docker compose up --detach --wait` left up; less the time of
`pytest -m unit --collect-only` of the same module, which imports the same and runs nothing."""


def measure(workspace: Workspace) -> Report:
    require_engine()
    rows = []
    for mode in ROUNDS:
        rows += together(workspace, mode)
    rows += warm(workspace)
    return Report("start", METHOD, rows)


def together(workspace: Workspace, mode: str) -> list[Row]:
    choices = [*((name,) for name in ALL), ALL]
    seconds: dict[tuple[str, ...], list[float]] = {choice: [] for choice in choices}
    for _ in range(ROUNDS[mode]):
        for choice in choices:
            seconds[choice].append(float(workspace.run_probe("start.py", mode, *choice)))
    slowest = max(choices[:-1], key=lambda choice: median(seconds[choice]))
    ratios = [all_ / alone for all_, alone in zip(seconds[ALL], seconds[slowest], strict=True)]
    medians = [
        Row(f"{' + '.join(choice)}, {mode}", median(seconds[choice]), "s") for choice in choices
    ]
    undisturbed = min(seconds[ALL]) / min(seconds[slowest])
    what = f"all / {slowest[0]} alone, {mode}"
    return [*medians, Row(what, median(ratios), "×", 1.15, undisturbed)]


def warm(workspace: Workspace) -> list[Row]:
    service = workspace.service
    runs: list[float] = []
    imports: list[float] = []
    with workspace.services_left_up(), workspace.probe_module("test_warm.py") as module:
        for turn in range(WARM_ROUNDS + 1):
            begun = time.perf_counter()
            must(service.pytest("-m", "integration", "--servers", "running", str(module)))
            between = time.perf_counter()
            # Code 5: the one test is not a unit test, so none is left.
            must(service.pytest("-m", "unit", "--collect-only", str(module)), 5)
            if turn:  # The first one fills the caches.
                runs.append(between - begun)
                imports.append(time.perf_counter() - between)
    return [
        Row("imports and collection alone", median(imports), "s"),
        Row("warm run of one test", median(runs), "s"),
        Row("warm run over its imports", median(runs) - median(imports), "s", 1),
    ]
