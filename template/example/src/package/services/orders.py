from uuid import UUID

from ..domain import Event, InvalidOrder, Order, OrderStatus, PaymentDeclined
from ..ports import Database, Payments, UnitOfWork


class OrderService:
    def __init__(self, database: Database, payments: Payments) -> None:
        self._database = database
        self._payments = payments

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
            item = work.items.reserve(sku, quantity)
            order = Order(user_id, sku, quantity, total_amount=item.price * quantity)
            work.orders.add(order)
        return order

    def get(self, order_id: UUID) -> Order:
        """Raises NotFound."""
        with self._database.begin() as work:
            return work.orders.get(order_id)

    def pay(self, order_id: UUID) -> Order:
        """Charge the buyer. Where the payment is declined, the order is cancelled.

        Raises:
            PaymentDeclined: the bank says no; the stock is free again.
            Unavailable: the payment is not decided yet, and the order cannot be cancelled: pay again later.
            InvalidOrder: the order is not to be paid.
            NotFound: there is no such order.
        """
        with self._database.begin() as work:
            order = work.orders.get_for_update(order_id)
            order.begin_payment()
            work.orders.save(order)
        # No transaction waits for the answer. A second charge under the same reference takes nothing.
        try:
            self._payments.charge(order.total_amount, reference=str(order.id))
        except PaymentDeclined:
            with self._database.begin() as work:
                order = work.orders.get_for_update(order_id)
                order.decline_payment()
                _release(work, order)
            raise
        with self._database.begin() as work:
            order = work.orders.get_for_update(order_id)
            order.pay()
            work.orders.save(order)
            work.outbox.add(_event("order_paid", order))
        return order

    def cancel(self, order_id: UUID) -> Order:
        """Give the stock back. Raises InvalidOrder unless the order is pending, NotFound if there is none."""
        with self._database.begin() as work:
            order = work.orders.get_for_update(order_id)
            order.cancel()
            _release(work, order)
        return order

    def fulfil(self, order_id: UUID) -> Order:
        """Hand a paid order over for delivery; again, it changes nothing.

        Raises:
            InvalidOrder: the order is not paid.
            NotFound: there is no such order.
        """
        with self._database.begin() as work:
            order = work.orders.get_for_update(order_id)
            if order.status is not OrderStatus.FULFILLED:
                order.fulfil()
                work.orders.save(order)
                work.outbox.add(_event("order_fulfilled", order))
        return order


def _release(work: UnitOfWork, order: Order) -> None:
    """Save an order that is cancelled, and put its items back on sale."""
    work.orders.save(order)
    work.items.release(order.sku, order.quantity)


def _event(type: str, order: Order) -> Event:
    data = {"user_id": str(order.user_id), "sku": order.sku, "quantity": order.quantity}
    return Event(type, str(order.id), data)
