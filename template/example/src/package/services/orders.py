from uuid import UUID

from ..domain import Event, InvalidOrder, Order
from ..ports import Broker, Database


class OrderService:
    def __init__(self, database: Database, broker: Broker) -> None:
        self._database = database
        self._broker = broker

    def place(self, user_id: UUID, sku: str, quantity: int) -> Order:
        """Reserve stock and record an order that is still to be paid.

        Raises:
            InvalidOrder: the quantity is not positive, or the user is not verified.
            OutOfStock: fewer are left.
            NotFound: there is no such user or item.
        """
        if quantity < 1:
            raise InvalidOrder(f"quantity {quantity} is not positive")
        with self._database.begin() as work:
            if not work.users.get(user_id).is_verified:
                raise InvalidOrder("only verified users order")
            item = work.items.take(sku, quantity)
            order = Order(user_id, sku, quantity, total_amount=item.price * quantity)
            work.orders.add(order)
        self._publish("order_placed", order)
        return order

    def get(self, order_id: UUID) -> Order:
        """Raises NotFound."""
        with self._database.begin() as work:
            return work.orders.get(order_id)

    def pay(self, order_id: UUID) -> Order:
        """Raises InvalidOrder unless the order is pending, NotFound if there is none."""
        with self._database.begin() as work:
            order = work.orders.get(order_id)
            order.pay()
            work.orders.save(order)
        self._publish("order_paid", order)
        return order

    def cancel(self, order_id: UUID) -> Order:
        """Give the stock back. Raises InvalidOrder unless the order is pending, NotFound if there is none."""
        with self._database.begin() as work:
            order = work.orders.get(order_id)
            order.cancel()
            work.orders.save(order)
            work.items.put_back(order.sku, order.quantity)
        self._publish("order_cancelled", order)
        return order

    def _publish(self, type: str, order: Order) -> None:
        data = {"user_id": str(order.user_id), "sku": order.sku, "quantity": order.quantity}
        self._broker.publish(Event(type, str(order.id), data))
