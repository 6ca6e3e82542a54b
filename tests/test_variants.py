"""Every variant is clean and complete; each server alone and all of them are green, from each source.

The suites of pairs run with `VARIANTS=all scripts/test tests/test_variants.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import Installed, Render
from .service import Service
from .variants import dependencies, variant_id, variants

pytestmark = pytest.mark.suite

RUN = variants(pairs=os.environ.get("VARIANTS") == "all")
"""The variants whose tests run. The others are rendered and checked."""


@pytest.fixture(params=variants(), ids=variant_id)
def variant(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def rendered(render: Render, variant: tuple[str, ...], tmp_path: Path) -> Service:
    """A service of a variant, without an environment."""
    return render(tmp_path / "shop", dependencies=list(variant))


def tool(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def test_formatter_and_linter_find_nothing(rendered: Service) -> None:
    for command in (["format", "--diff"], ["check"]):
        done = rendered.run(*tool("ruff", *command, "--no-cache", "."))
        assert done.code == 0, done.output


def test_type_checker_finds_nothing(
    rendered: Service, everything: Service, shared_folder: Path, worker_id: str
) -> None:
    # With all packages in one place, as in tests/test_choices.py, mypy reads each of them once.
    packages = ("--python-executable", str(everything.python))
    cache = f"--cache-dir={shared_folder / f'mypy-{worker_id}'}"
    done = rendered.run(*tool("mypy", cache, *packages))

    assert done.code == 0, done.output


def test_rendered_files_are_those_of_the_answers(
    rendered: Service, variant: tuple[str, ...]
) -> None:
    modules = (rendered.path / "tests" / "testbed" / "dependencies").glob("[!_]*.py")
    assert {module.stem for module in modules} == set(variant)
    for name, facts in dependencies().items():
        for path in facts["files"] + facts["example_files"]:
            path = path.replace("src/package/", "src/shop/")
            assert (rendered.path / path).exists() == (name in variant), path


def test_compose_file_offers_the_variant_on_loopback_ports(
    rendered: Service, variant: tuple[str, ...]
) -> None:
    path = rendered.path / "docker-compose.test.yml"

    services = yaml.safe_load(path.read_text())["services"]

    assert set(services) == {f"test-{name}" for name in variant}
    for each in services.values():
        assert all(port.startswith("${TEST_BIND_ADDRESS:-127.0.0.1}:${") for port in each["ports"])
        assert each["image"].startswith("${") and not each["image"].endswith("latest}")
        assert each["healthcheck"]["interval"] == "500ms"


@pytest.mark.engine
def test_compose_accepts_the_file(
    rendered: Service, variant: tuple[str, ...], engine: None
) -> None:
    if variant:
        command = ["docker", "compose", "-f", "docker-compose.test.yml", "config", "--quiet"]
        done = subprocess.run(
            command, cwd=rendered.path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("variant", RUN, ids=variant_id, indirect=True)
def test_unit_tests_run_by_default_and_start_nothing(
    installed: Installed, variant: tuple[str, ...]
) -> None:
    done = installed(variant).pytest()

    assert done.all_passed, done.output
    assert "embedded" not in done.output
    # Nothing else was as much as imported.
    assert done.count("deselected") == 0


@pytest.mark.parametrize("variant", RUN, ids=variant_id, indirect=True)
def test_suite_passes_embedded(installed: Installed, variant: tuple[str, ...]) -> None:
    # What takes long runs once, with all dependencies.
    selection = "" if variant == variants()[-1] else "not slow"
    done = installed(variant).pytest("-W", "error", "-m", selection, "--servers", "embedded")

    assert done.all_passed, done.output
    for name in variant:
        assert f"\n{name}: embedded (" in done.output


@pytest.mark.engine
@pytest.mark.parametrize("variant", RUN[1:], ids=variant_id, indirect=True)
def test_suite_passes_in_containers(
    installed: Installed, variant: tuple[str, ...], engine: None
) -> None:
    # The fakes of third parties are the same wherever the servers run.
    selection = ("-m", "(integration or e2e) and not slow", "-k", "not external")
    done = installed(variant).pytest(*selection, "--servers", "containers")

    assert done.all_passed, done.output
    for name in variant:
        assert f"\n{name}: containers (test-{name} of docker-compose.test.yml, " in done.output
