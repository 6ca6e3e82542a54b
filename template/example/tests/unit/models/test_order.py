import pytest

from {{ package_name }}.domain import InvalidOrder, OrderStatus

from tests.factories import OrderFactory


class TestOrder:
    def test_order_is_paid_and_fulfilled(self) -> None:
        order = OrderFactory.build()

        order.begin_payment()
        order.pay()
        order.fulfil()

        assert order.status is OrderStatus.FULFILLED

    def test_undecided_payment_begins_again_and_cannot_be_cancelled(self) -> None:
        order = OrderFactory.build()
        for _ in range(2):
            order.begin_payment()

        with pytest.raises(InvalidOrder):
            order.cancel()

        order.decline_payment()
        assert order.status is OrderStatus.CANCELLED

    @pytest.mark.parametrize("trait", ["paid", "cancelled"])
    @pytest.mark.parametrize("change", ["begin_payment", "pay", "decline_payment", "cancel"])
    def test_finished_order_cannot_change(self, trait: str, change: str) -> None:
        order = OrderFactory.build(**{trait: True})
        before = order.status

        with pytest.raises(InvalidOrder):
            getattr(order, change)()

        assert order.status is before
