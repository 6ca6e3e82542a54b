import pytest

from {{ package_name }}.domain import Event


class TestEvent:
    def test_json_round_trip_keeps_everything(self) -> None:
        event = Event("order_placed", "key", {"sku": "Tee & Kännchen", "quantity": 2})

        assert Event.from_json(event.to_json()) == event

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"type": "order_placed"}'])
    def test_message_that_is_no_event_is_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError):
            Event.from_json(text)
