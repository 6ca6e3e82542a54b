"""Each API alone, both and none: complete, and green with the packages that it brings.

The default choice is that of tests/test_variants.py; tests/test_choices.py crosses all with the rest.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Installed, Render, exclusive
from .service import Service
from .test_bad_input import copy
from .variants import TEMPLATE, api_choices, variant_id
from .variants import apis as known


def choices() -> list[tuple[str, ...]]:
    """Every choice but the default, which all variants of the dependencies have."""
    default = tuple(name for name, facts in known().items() if facts.get("default"))
    return [chosen for chosen in api_choices() if chosen != default]


@pytest.fixture(params=choices(), ids=variant_id)
def apis(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found: tuple[str, ...] = request.param
    return found


@pytest.fixture
def service(apis: tuple[str, ...], render: Render, shared_folder: Path) -> Service:
    """A service with these APIs and no servers, rendered and installed once for the run."""
    path = shared_folder / "apis" / variant_id(apis) / "shop"
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path.parent / "lock"):
        if not (path.parent / "ready").exists():
            third_parties = ["payment_gateway", "auth_provider"]
            answers = {"apis": list(apis), "external_apis": third_parties}
            render(path, dependencies=[], **answers).install("dev")
            (path.parent / "ready").touch()
    return Service(path)


def assert_clean(service: Service, python: Path | None = None) -> None:
    for command in (
        ["ruff", "format", "--diff", "--no-cache", "."],
        ["ruff", "check", "--no-cache", "."],
        ["mypy", "--python-executable", str(python or service.python)],
    ):
        done = service.run(sys.executable, "-m", *command)
        assert done.code == 0, done.output


@pytest.mark.suite
def test_rendered_files_are_those_of_the_answers(service: Service, apis: tuple[str, ...]) -> None:
    for name, facts in known().items():
        for path in facts["files"] + facts["example_files"]:
            path = path.replace("src/package/", "src/shop/")
            assert (service.path / path).exists() == (name in apis), path
        for path in facts.get("asgi_files", []):
            assert not (service.path / path).exists()
    assert (service.path / "tests" / "integration" / "api").exists() == bool(apis)


@pytest.mark.suite
def test_packages_of_the_apis_are_all_that_their_tests_need(service: Service) -> None:
    # All are imported; tests/test_choices.py runs the others.
    done = service.pytest("-m", "", "-k", "api or EndToEnd or external")

    assert done.all_passed, done.output


def test_served_app_needs_no_test_before_it(installed: Installed) -> None:
    service = installed(("postgres",))

    done = service.pytest("-m", "", "--servers", "embedded", "-k", "rest_server")

    assert done.all_passed, done.output


@pytest.mark.suite
def test_longest_package_name_leaves_the_formatter_nothing_to_do(
    render: Render, tmp_path: Path
) -> None:
    service = render(tmp_path / "shop", package_name="p" * 40, apis=list(known()), dependencies=[])

    for command in (["format", "--diff"], ["check"]):
        done = service.run(sys.executable, "-m", "ruff", *command, "--no-cache", ".")
        assert done.code == 0, done.output


@pytest.mark.suite
@pytest.mark.parametrize("apis", [("grpc",)], ids=variant_id, indirect=True)
def test_generated_code_is_what_the_documented_command_makes(service: Service) -> None:
    generated = service.path / "src" / "shop" / "generated"
    before = {path.name: path.read_text() for path in generated.glob("*_pb2*")}

    done = service.run(str(service.python), "proto/generate.py")

    assert done.code == 0, done.output
    assert len(before) == 3 * len(list((service.path / "proto").glob("*.proto")))
    assert {path.name: path.read_text() for path in generated.glob("*_pb2*")} == before


APP = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    print("the app started")
    yield


app = Starlette(lifespan=lifespan)
"""


@pytest.mark.suite
def test_own_app_is_served_to_the_tests(render: Render, tmp_path: Path) -> None:
    service = render(
        tmp_path / "shop",
        example=False,
        apis=list(known()),
        asgi_app="shop.main:app",
        dependencies=[],
    )
    (service.path / "src" / "shop" / "main.py").write_text(APP.lstrip())
    service.install("dev")

    assert_clean(service)
    done = service.pytest("-m", "", "-s")

    assert done.all_passed, done.output
    assert done.output.count("the app started") == 2


def test_unknown_app_leaves_a_hint_and_no_test(render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", example=False, dependencies=[])

    assert "let `asgi_app` return" in (service.path / "tests/fixtures/rest.py").read_text()
    assert not (service.path / "tests/integration/api").exists()


@pytest.mark.suite
@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["-d", "apis=[rest, soap]"], "choose from grpc, rest: apis has no soap"),
        (["-d", "apis=rest"], "write -d 'apis=[grpc, rest]': apis is a list"),
        (
            ["-d", "example=no", "-d", "asgi_app=app.main"],
            "use the form module:object: asgi_app=",
        ),
        (["-d", "package_name=grpc"], "add _service (the project uses it)"),
        (["-d", "package_name=pydantic"], "add _service (the project uses it)"),
    ],
)
def test_wrong_answer_is_one_line_and_renders_nothing(
    template: Path, tmp_path: Path, answers: list[str], message: str
) -> None:
    done = copy(template, tmp_path / "shop", *answers)

    assert done.code != 0
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1, done.output
    assert not (tmp_path / "shop").exists()


def test_shared_files_name_no_api() -> None:
    listed = subprocess.run(
        ["git", "-C", str(TEMPLATE), "ls-files", "copier.yml", "hooks", "template/project"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        words = (TEMPLATE / name).read_text().lower().replace(".", " ").split()
        assert "grpc" not in words and "fastapi" not in words, name
