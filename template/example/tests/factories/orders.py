import factory

from {{ package_name }}.domain import Item, Order, OrderStatus

from .users import UserFactory


class ItemFactory(factory.Factory[Item]):
    """An item of which ten are left."""

    class Meta:
        model = Item

    sku = factory.Sequence(lambda number: f"SKU-{number:03}")
    name = factory.Faker("word")
    price = factory.Faker("pydecimal", min_value=1, max_value=500, right_digits=2)
    quantity = 10


class OrderFactory(factory.Factory[Order]):
    """A pending order of one verified user's. Traits: `paid`, `cancelled`."""

    class Meta:
        model = Order
        exclude = ("user", "item")

    class Params:
        paid = factory.Trait(status=OrderStatus.PAID)
        cancelled = factory.Trait(status=OrderStatus.CANCELLED)

    user = factory.SubFactory(UserFactory, verified=True)
    item = factory.SubFactory(ItemFactory)

    id = factory.Faker("uuid4", cast_to=None)
    user_id = factory.SelfAttribute("user.id")
    sku = factory.SelfAttribute("item.sku")
    quantity = 1
    total_amount = factory.LazyAttribute(lambda order: order.item.price * order.quantity)
    status = OrderStatus.PENDING
