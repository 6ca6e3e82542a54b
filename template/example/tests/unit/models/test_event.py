import pytest

from {{ package_name }}.domain import Event


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
