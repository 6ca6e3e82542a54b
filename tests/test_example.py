"""What the example does before and beside its tests: it starts, or says in one line why it cannot."""

import math
import re

import pytest

from .conftest import Checkout
from .service import Service

REQUIRED = [
    "DATABASE_URL",
    "REDIS_URL",
    "KAFKA_BOOTSTRAP_SERVERS",
    "PAYMENT_GATEWAY_URL",
    "PAYMENT_GATEWAY_KEY",
    "AUTH_PROVIDER_URL",
    "AUTH_PROVIDER_CLIENT_ID",
    "AUTH_PROVIDER_CLIENT_SECRET",
    "AUTH_PROVIDER_REDIRECT_URI",
]
STARTS = {
    "all": ["shop"],
    "worker": ["shop.entrypoints.consumer"],
    "grpc": ["shop.entrypoints.grpc"],
    "rest": ["uvicorn", "--factory", "shop.entrypoints.rest:create_app"],
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_start_without_settings_names_them_all_in_one_line(
    everything: Service, start: list[str]
) -> None:
    done = everything.run(str(everything.python), "-m", *start)

    missing = ", ".join(f"{variable} is not set" for variable in REQUIRED)
    assert done.code == 1
    assert done.output == f"The service cannot start: {missing}\n"


def test_wrong_setting_is_named_without_its_value(everything: Service) -> None:
    environment = {"KAFKA_SESSION_MS": "a secret"}

    done = everything.run(str(everything.python), "-m", "shop", env=environment)

    assert "KAFKA_SESSION_MS Input should be a valid integer" in done.output
    assert "a secret" not in done.output
    assert len(done.output.splitlines()) == 1


def test_migration_without_a_database_is_one_line(everything: Service) -> None:
    done = everything.run(str(everything.python), "-m", "alembic", "current")

    assert (done.code, done.output) == (
        1,
        "DATABASE_URL is not set: it names the database to migrate\n",
    )


def test_every_limit_of_time_has_a_default_and_none_is_long(everything: Service) -> None:
    settings = (everything.path / "src" / "shop" / "settings.py").read_text()

    limits = re.findall(r"^    (\w+_seconds): (?:int|float) = (\d+)$", settings, re.MULTILINE)

    # PostgreSQL five, Redis, Kafka and three third parties one each.
    assert len(limits) == len(re.findall(r"_seconds: ", settings)) == 10
    assert all(1 <= int(seconds) <= 10 for _, seconds in limits)


MOST = {
    "VERIFICATION_SECONDS": 24 * 60 * 60,
    "SESSION_SECONDS": 60 * 60,
    "SIGN_IN_SECONDS": 10 * 60,
    "LEASE_SECONDS": 60,
    "STOP_SECONDS": 10,
    "MAX_ATTEMPTS": 10,
    "ATTEMPTS": 3,
}
"""The limits in the code. The rendered tests use these names, so they pass with any value."""


def test_every_limit_in_the_code_is_as_small_as_it_ships(everything: Service) -> None:
    code = "".join(path.read_text() for path in (everything.path / "src").rglob("*.py"))

    found = re.findall(r"^(\w*(?:SECONDS|ATTEMPTS)) = (.+)$", code, re.MULTILINE)

    assert {name for name, _ in found} == MOST.keys()
    for name, value in found:
        assert 1 < math.prod(map(float, value.split("*"))) <= MOST[name], name


FACTORY_DATA = """\
from tests.factories import UserFactory


def test_data() -> None:
    print("made", UserFactory.build().name)
"""


def test_factories_repeat_their_data_without_pytest_randomly(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    (service.path / "tests" / "unit" / "test_data.py").write_text(FACTORY_DATA)
    command = ("tests/unit/test_data.py", "-s", "-p", "no:randomly")

    made = [re.findall(r"made .*", service.pytest(*command).output) for _ in range(2)]

    assert made[0] and made[0] == made[1]
