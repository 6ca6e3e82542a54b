"""Requests that Schemathesis makes up from the OpenAPI schema, the same ones in each run."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.entrypoints.rest import create_app
from {{ package_name }}.ports import Database

from tests.clients import PASSWORD
from tests.factories import ItemFactory
from tests.fixtures.rest import Headers
{% if wiring.sign_in %}
from tests.fixtures.shop import Person
{% endif %}

Fields = dict[str, str]
ADVICE = (
    "no request was answered with {expected}: {operations}. "
    "If a request needs something that exists (a user, an order), add the operation to the fixture "
    "`existing` in tests/integration/api/test_rest_schema.py: what it makes, and in which fields the "
    "request names it."
)


class TestIntegrationRestSchema:
    @pytest.fixture
    def existing(
        self,
        database: Database,
        shop: Shop,
        rest_buyer: Headers,
{% if wiring.sign_in %}
        person: Person,
{% endif %}
    ) -> dict[str, Callable[[], tuple[Fields, Fields]]]:
        """By operation, what lets it succeed: path parameters and fields of the body."""
        sku = "SKU-PEN"
        with database.begin() as work:
            work.items.add(ItemFactory.build(sku=sku, quantity=1_000_000))
        user = shop.users.current_user(rest_buyer["Authorization"].removeprefix("Bearer "))

        def unverified() -> tuple[Fields, Fields]:
            new = shop.users.register(f"{uuid4()}@example.com", PASSWORD, "New")
            return {"user_id": str(new.id)}, {"token": shop.users.verification_token(new.id) or ""}

        def pending() -> tuple[Fields, Fields]:
            return {"order_id": str(shop.orders.place(user.id, sku, 1).id)}, {}

{% if wiring.sign_in %}
        eve = person("eve@example.com", "Eve")

        def signed_in() -> tuple[Fields, Fields]:
            begun = shop.sign_in.begin()
            return {}, {"state": begun.state, "code": eve(begun.url)}

{% endif %}
        return {
            "POST /users/{user_id}/verification": unverified,
            "POST /sessions": lambda: ({}, {"email": user.email, "password": PASSWORD}),
{% if wiring.sign_in %}
            "POST /sessions/provider": signed_in,
{% endif %}
            "GET /items/{sku}": lambda: ({"sku": sku}, {}),
            "POST /orders": lambda: ({}, {"sku": sku}),
            "GET /orders/{order_id}": pending,
            "POST /orders/{order_id}/payment": pending,
            "POST /orders/{order_id}/cancellation": pending,
        }

    @pytest.mark.slow
    @pytest.mark.parametrize(("mode", "expected"), [("positive", "2xx"), ("negative", "4xx")])
    def test_any_request_is_answered_as_the_schema_says(
        self,
        shop: Shop,
        rest_buyer: Headers,
        existing: dict[str, Callable[[], tuple[Fields, Fields]]],
        mode: str,
        expected: str,
    ) -> None:
        # Imported here, as that takes a second and every start of pytest reads this module.
        import schemathesis
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st

        schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(shop))
        answered: dict[str, set[str]] = {}

        for operation in [each for path in schema for each in schema[path].values()]:
            if mode == "negative" and not (operation.body or any(operation.iter_parameters())):
                continue  # without input, none can be wrong

            @settings(
                max_examples=20,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(
                exists=st.booleans(),
                case=operation.as_strategy(schemathesis.GenerationMode(mode)),
            )
            def check(exists: bool, case: schemathesis.Case[Any]) -> None:
                label = case.operation.label
                if mode == "positive" and exists and label in existing:
                    parameters, fields = existing[label]()
                    case.path_parameters |= parameters
                    if fields:
                        assert isinstance(case.body, dict)
                        case.body |= fields
                answer = case.call_and_validate(headers=rest_buyer)
                answered.setdefault(label, set()).add(f"{answer.status_code // 100}xx")

            check()

        missing = [label for label, codes in answered.items() if expected not in codes]
        assert not missing, ADVICE.format(expected=expected, operations=", ".join(missing))
