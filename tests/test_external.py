"""APIs of third parties: a client, a fake and tests for each name."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import copier
import pytest
import yaml

from .conftest import Render, commit, git
from .service import Service
from .test_bad_input import copy

pytestmark = pytest.mark.suite

EMBEDDED = ("--servers", "embedded")
WITH_SANDBOX = [
    f"tests/integration/external/test_{name}.py" for name in ("payment_gateway", "auth_provider")
]


def modules(service: Service) -> set[str]:
    """The rendered test modules of external APIs."""
    folder = service.path / "tests" / "integration" / "external"
    return {path.stem for path in folder.glob("test_*.py")}


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (["payment_gateway", "auth_provider"], ["payment_gateway", "auth_provider"]),
        (["geo coder"], ["geo_coder"]),
        (["GeoCoder"], ["geo_coder"]),
        (["3D-Secure"], ["api_3d_secure"]),
        (
            ["class", "json", "redis", "memory"],
            ["class_api", "json_api", "redis_api", "memory_api"],
        ),
        (["skeleton"], ["skeleton_api"]),
        ([], []),
        (None, []),
        ("geo coder, sms", ["geo_coder", "sms"]),
    ],
    ids=str,
)
def test_each_name_has_a_client_a_double_and_tests(
    render: Render, tmp_path: Path, answer: object, names: list[str]
) -> None:
    service = render(tmp_path / "shop", external_apis=answer, dependencies=[], apis=[])

    assert modules(service) == {f"test_{name}" for name in names}
    for name in names:
        for folder in ("src/shop/adapters", "tests/fixtures"):
            assert (service.path / folder / f"{name}.py").exists()
    assert (service.path / "src/shop/adapters/http.py").exists() == bool(names)


def test_sign_in_is_rendered_with_an_identity_provider_only(render: Render, tmp_path: Path) -> None:
    words = re.compile(r"sign_?in\b|identity.?provider|auth_provider|\bperson\(", re.IGNORECASE)
    found = {}
    for chosen in ("payment_gateway", "auth_provider"):
        service = render(tmp_path / chosen, external_apis=[chosen], apis=["rest", "grpc"])
        files = [*service.path.glob("src/**/*"), *service.path.glob("tests/**/*.py")]
        files = [path for path in files if path.is_file() and "testbed" not in path.parts]
        found[chosen] = [path.name for path in files if words.search(path.read_text())]

    assert found["payment_gateway"] == []
    assert {"rest.py", "grpc.py", "identities.py", "sign_in.py"} <= set(found["auth_provider"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("[geo coder, geo-coder]", "rename one: two are alike in code"),
        ("['!?']", "leave out ! (allowed: space - _)"),
        (f"[{'long' * 10}]", "use at most 30 characters a name"),
        ("{payment_gateway: yes}", "write -d 'external_apis=[payment_gateway, geo coder]'"),
        ("12", "use a list, such as [geo coder]"),
    ],
)
def test_wrong_answer_is_one_line_and_renders_nothing(
    template: Path, tmp_path: Path, answer: str, message: str
) -> None:
    done = copy(template, tmp_path / "shop", "-d", f"external_apis={answer}")

    assert done.code != 0
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1, done.output
    assert not (tmp_path / "shop").exists()


def test_name_is_added_and_dropped_by_an_update(template: Path, tmp_path: Path) -> None:
    service = Service(tmp_path / "shop")
    data = {"external_apis": ["payment_gateway"], "dependencies": []}
    copier.run_copy(str(template), service.path, data=data, defaults=True, quiet=True)
    git(service.path, "init", "--quiet", "--initial-branch", "main")
    client = service.path / "src/shop/adapters/payment_gateway.py"
    client.write_text(client.read_text() + "\nMINE = 1\n")
    commit(service.path, "rendered")

    for names in (["payment_gateway", "geo coder"], ["payment_gateway"]):
        data = {"external_apis": names}
        copier.run_update(service.path, data=data, defaults=True, overwrite=True, quiet=True)
        assert modules(service) == {f"test_{name.replace(' ', '_')}" for name in names}
        answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
        assert answers["external_apis"] == names
        commit(service.path, "updated")

    assert "MINE = 1" in client.read_text()
    assert git(service.path, "diff", "--name-only", "--diff-filter=U") == ""


SANDBOX = """
import json, sys
from pytest_httpserver import HTTPServer
from tests.fixtures import auth_provider, payment_gateway

with HTTPServer("127.0.0.1", 0, threaded=True) as payments, HTTPServer("127.0.0.1", 0, threaded=True) as auth:
    fake = payment_gateway.FakePaymentGateway()
    payments.expect_request(payment_gateway.PATH).respond_with_handler(fake.create_intent)
    auth_url = f"http://127.0.0.1:{auth.port}"
    auth_provider.FakeAuthProvider(auth_url).serve(auth)
    print(json.dumps({
        "PAYMENT_GATEWAY_SANDBOX_URL": f"http://127.0.0.1:{payments.port}",
        "PAYMENT_GATEWAY_SANDBOX_KEY": payment_gateway.KEY,
        "AUTH_PROVIDER_SANDBOX_URL": auth_url,
        "AUTH_PROVIDER_SANDBOX_CLIENT_ID": auth_provider.CLIENT_ID,
        "AUTH_PROVIDER_SANDBOX_KEY": auth_provider.CLIENT_SECRET,
        "AUTH_PROVIDER_SANDBOX_REDIRECT_URI": auth_provider.REDIRECT_URI,
    }), flush=True)
    sys.stdin.read()
    print(len(payments.log), len(auth.log))
"""


@contextmanager
def sandbox(service: Service, requests: list[int]) -> Iterator[dict[str, str]]:
    """What a provider offers to developers: the environment that names it. Counts its requests in the end."""
    with subprocess.Popen(
        [str(service.python), "-c", SANDBOX],
        cwd=service.path,
        env=service.clean_environment({"PYTHONPATH": "src"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        requests.extend(map(int, process.stdout.read().split()))


@pytest.fixture
def service(render: Render, everything: Service, tmp_path: Path) -> Service:
    """A service that calls each API that has a folder of its own, and no server."""
    names = ["payment_gateway", "auth_provider"]
    service = render(tmp_path / "known" / "shop", dependencies=[], external_apis=names)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    return service


def test_same_tests_run_against_the_sandbox_where_there_is_a_key(service: Service) -> None:
    requests: list[int] = []

    with sandbox(service, requests) as environment:
        done = service.pytest("-m", "network", *EMBEDDED, "-v", *WITH_SANDBOX, env=environment)

    assert done.all_passed, done.output
    assert done.count("skipped") == 0
    assert done.count("passed") == done.output.count("[sandbox] PASSED") == 5
    assert all(requests)


def test_sandbox_is_skipped_with_its_reason_where_there_is_no_key(service: Service) -> None:
    done = service.pytest("-m", "network", *EMBEDDED)

    assert done.code == 0, done.output
    for name in ("PAYMENT_GATEWAY", "AUTH_PROVIDER"):
        assert f": {name}_SANDBOX_KEY is not set" in done.output
    assert done.count("skipped") == 5


def test_sandbox_of_which_the_address_is_missing_is_told(service: Service) -> None:
    env = {"PAYMENT_GATEWAY_SANDBOX_KEY": "key", "AUTH_PROVIDER_SANDBOX_KEY": "key"}

    done = service.pytest("-m", "network", *EMBEDDED, env=env)

    assert done.count("error") == 5
    assert "PAYMENT_GATEWAY_SANDBOX_URL has to be set too" in done.output
    for variable in ("URL", "CLIENT_ID", "REDIRECT_URI"):
        assert f"AUTH_PROVIDER_SANDBOX_{variable}" in done.output
