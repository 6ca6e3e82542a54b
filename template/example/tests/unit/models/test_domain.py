import pytest

from {{ package_name }}.domain import Event, InvalidOrder, OrderStatus

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


class TestEvent:
    def test_json_round_trip_keeps_everything(self) -> None:
        event = Event("order_placed", "key", {"sku": "Tee & Kännchen", "quantity": 2})

        assert Event.from_json(event.to_json()) == event

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"type": "order_paid"}',
            b'{"type": "order_paid", "key": 5, "data": {}, "id": "1"}',
        ],
    )
    def test_message_that_is_no_event_is_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError):
            Event.from_json(text)

    def test_refusal_does_not_repeat_the_message(self) -> None:
        with pytest.raises(ValueError) as refusal:
            Event.from_json(b'["' + b"x" * 1000 + b'"]')

        assert len(str(refusal.value)) < 100
