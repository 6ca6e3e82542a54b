from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import grpc
import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import OrderStatus
from {{ package_name }}.generated import order_pb2, order_pb2_grpc

from tests.clients import access_token
from tests.clients.grpc import SECONDS, Metadata, metadata, refused


@pytest.fixture
def orders(grpc_channel: grpc.Channel) -> order_pb2_grpc.OrderServiceStub:
    """Stub of the order service."""
    return order_pb2_grpc.OrderServiceStub(grpc_channel)


@pytest.fixture
def buyer(committed_shop: Shop) -> Metadata:
    """Metadata of a user who may order."""
    return metadata(access_token(committed_shop))


@pytest.fixture
def mugs(committed_shop: Shop) -> str:
    """SKU of an item of which ten are left."""
    return committed_shop.inventory.create_item("SKU-MUG", 10, price=Decimal("7.50")).sku


class TestIntegrationGrpcOrders:
    def test_order_reserves_stock_and_is_paid(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        buyer: Metadata,
        mugs: str,
    ) -> None:
        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=3)
        placed = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        paid = orders.PayOrder(
            order_pb2.PayOrderRequest(id=placed.id), metadata=buyer, timeout=SECONDS
        )
        shown = orders.GetOrder(
            order_pb2.GetOrderRequest(id=placed.id), metadata=buyer, timeout=SECONDS
        )

        assert (placed.sku, placed.quantity) == (mugs, 3)
        assert (placed.total_amount, placed.status) == ("22.50", "pending")
        assert (paid.status, shown) == ("paid", paid)
        assert committed_shop.inventory.get_item(mugs).quantity == 7

    def test_declined_payment_cancels_the_order(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        buyer: Metadata,
        mugs: str,
        decline_payments: Callable[[], None],
    ) -> None:
        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=3)
        order = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        decline_payments()

        code = refused(orders.PayOrder, order_pb2.PayOrderRequest(id=order.id), metadata=buyer)

        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert committed_shop.orders.get(UUID(order.id)).status is OrderStatus.CANCELLED
        assert committed_shop.inventory.get_item(mugs).quantity == 10

    @pytest.mark.parametrize("change", [{"sku": ""}, {"quantity": 0}, {"quantity": -1}], ids=str)
    def test_order_with_invalid_field_takes_nothing(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        buyer: Metadata,
        mugs: str,
        change: dict[str, Any],
    ) -> None:
        request = order_pb2.PlaceOrderRequest(**{"sku": mugs, "quantity": 1, **change})

        code = refused(orders.PlaceOrder, request, metadata=buyer)

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert committed_shop.inventory.get_item(mugs).quantity == 10

    def test_order_of_another_user_is_not_found(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        buyer: Metadata,
        mugs: str,
    ) -> None:
        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=1)
        order = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        other = metadata(access_token(committed_shop, "other@example.com"))

        for call, asked in (
            (orders.GetOrder, order_pb2.GetOrderRequest(id=order.id)),
            (orders.PayOrder, order_pb2.PayOrderRequest(id=order.id)),
        ):
            assert refused(call, asked, metadata=other) is grpc.StatusCode.NOT_FOUND

        assert committed_shop.orders.get(UUID(order.id)).status is OrderStatus.PENDING
