"""Puts the shop together: the one module that knows every adapter."""

{% if wiring.ports | selectattr('dependency') | list %}
import os
{% endif %}
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

{% for module, names in wiring.imports %}
from .adapters.{{ module }} import {{ names | join(', ') }}
{% endfor %}
from .passwords import Passwords
from .ports import Broker, Cache, Database
from .services.inventory import InventoryService
from .services.orders import OrderService
from .services.users import UserService


@dataclass(frozen=True)
class Shop:
    users: UserService
    orders: OrderService
    inventory: InventoryService
    database: Database
    cache: Cache
    broker: Broker


def assemble(
    database: Database, cache: Cache, broker: Broker, passwords: Passwords | None = None
) -> Shop:
    """The shop on the given adapters."""
    return Shop(
        users=UserService(database, cache, broker, passwords or Passwords()),
        orders=OrderService(database, broker),
        inventory=InventoryService(database),
        database=database,
        cache=cache,
        broker=broker,
    )


@contextmanager
def bootstrap() -> Iterator[Shop]:
{% if wiring.ports | selectattr('dependency') | list %}
    """The shop on the servers that the environment names.

    Raises:
        KeyError: a variable is not set.
    """
    with (
{% for port in wiring.ports if port.dependency %}
        {{ port.dependency.adapter }}.connect(os.environ["{{ port.dependency.variable }}"]) as {{ port.name }},
{% endfor %}
    ):
        yield assemble({{ wiring.ports | map(attribute='instance') | join(', ') }})
{% else %}
    """The shop, all of it in memory."""
    yield assemble({{ wiring.ports | map(attribute='instance') | join(', ') }})
{% endif %}
