import pytest

from {{ package_name }}.domain import InvalidOrder, OrderStatus

from tests.factories import OrderFactory


class TestOrder:
    def test_pay_makes_pending_order_paid(self) -> None:
        order = OrderFactory.build()

        order.pay()

        assert order.status is OrderStatus.PAID

    @pytest.mark.parametrize("trait", ["paid", "cancelled"])
    @pytest.mark.parametrize("change", ["pay", "cancel"])
    def test_finished_order_cannot_change(self, trait: str, change: str) -> None:
        order = OrderFactory.build(**{trait: True})
        before = order.status

        with pytest.raises(InvalidOrder):
            getattr(order, change)()

        assert order.status is before
