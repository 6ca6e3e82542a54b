"""Puts the shop together: the one module that knows every adapter."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

{% for module, names in wiring.imports %}
{% if names | length > 2 %}
from .adapters.{{ module }} import (
{% for name in names %}
    {{ name }},
{% endfor %}
)
{% else %}
from .adapters.{{ module }} import {{ names | join(', ') }}
{% endif %}
{% endfor %}
{% if wiring.sign_in %}
from .identity import IdentityProvider
{% endif %}
from .passwords import Passwords
from .ports import Broker, Cache, Database, Mailer, Payments
from .services.events import EventService
from .services.inventory import InventoryService
from .services.orders import OrderService
{% if wiring.sign_in %}
from .services.sign_in import SignInService
{% endif %}
from .services.users import UserService

# Tests that need no settings import this module too, and pydantic takes its time.
if TYPE_CHECKING:
    from .settings import Settings


@dataclass(frozen=True)
class Shop:
    users: UserService
{% if wiring.sign_in %}
    sign_in: SignInService
{% endif %}
    orders: OrderService
    inventory: InventoryService
    events: EventService
    database: Database
    cache: Cache
    broker: Broker


def build_shop(
    database: Database,
    cache: Cache,
    broker: Broker,
    payments: Payments,
{% if wiring.sign_in %}
    identity: IdentityProvider,
{% endif %}
    mailer: Mailer,
    passwords: Passwords | None = None,
) -> Shop:
    """The shop on the given adapters."""
    users = UserService(database, cache, mailer, passwords or Passwords())
    orders = OrderService(database, payments)
    return Shop(
        users=users,
{% if wiring.sign_in %}
        sign_in=SignInService(database, cache, identity, users),
{% endif %}
        orders=orders,
        inventory=InventoryService(database),
        events=EventService(database, broker, users, orders),
        database=database,
        cache=cache,
        broker=broker,
    )


@contextmanager
def bootstrap(settings: "Settings") -> Iterator[Shop]:
    """The shop on the servers that the settings name."""
    mailer = FolderMailer(settings.service.mail_folder)
{% if wiring.ports | selectattr('provider') | list %}
    with (
{% for port in wiring.ports if port.provider %}
        {{ port.provider.adapter }}.connect(settings.{{ port.provider.name }}) as {{ port.name }},
{% endfor %}
    ):
        yield build_shop(
{% for port in wiring.ports %}
            {{ port.instance }},
{% endfor %}
            mailer,
        )
{% else %}
    yield build_shop(
{% for port in wiring.ports %}
        {{ port.instance }},
{% endfor %}
        mailer,
    )
{% endif %}
