from collections.abc import Callable
from uuid import UUID, uuid4

import grpc
import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event
from {{ package_name }}.generated import user_pb2, user_pb2_grpc
from {{ package_name }}.ports import Database

from tests.clients import PASSWORD, access_token
from tests.clients.grpc import SECONDS, metadata, refused

ADA = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}


@pytest.fixture
def users(grpc_channel: grpc.Channel) -> user_pb2_grpc.UserServiceStub:
    """Stub of the user service."""
    return user_pb2_grpc.UserServiceStub(grpc_channel)


class TestIntegrationGrpcUsers:
    def test_create_user_stores_the_row_and_tells_the_others(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        committed_database: Database,
        published: Callable[[int], list[Event]],
    ) -> None:
        answer = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)

        with committed_database.begin() as work:
            stored = work.users.get(UUID(answer.id))
        assert (stored.email, stored.name, stored.is_verified) == ("ada@example.com", "Ada", False)
        assert stored.password_hash != PASSWORD
        committed_shop.events.relay()
        assert [event.type for event in published(1)] == ["user_registered"]

    @pytest.mark.parametrize(
        "change",
        [{"email": ""}, {"email": "ada"}, {"password": "short"}, {"name": ""}, {"name": "A\x00"}],
        ids=str,
    )
    def test_create_user_with_invalid_field_stores_nothing(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_database: Database,
        change: dict[str, str],
    ) -> None:
        code = refused(users.CreateUser, user_pb2.CreateUserRequest(**ADA | change))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        with committed_database.begin() as work:
            assert work.users.find_by_email("ada@example.com") is None

    def test_create_user_with_taken_email_already_exists(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop
    ) -> None:
        access_token(committed_shop, ADA["email"])

        code = refused(users.CreateUser, user_pb2.CreateUserRequest(**ADA))

        assert code is grpc.StatusCode.ALREADY_EXISTS

    def test_verified_user_logs_in_and_is_shown(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop
    ) -> None:
        user = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)
        token = committed_shop.users.verification_token(UUID(user.id))

        verification = user_pb2.VerifyUserRequest(id=user.id, token=token)
        verified = users.VerifyUser(verification, timeout=SECONDS)
        credentials = user_pb2.AuthenticateRequest(email=ADA["email"], password=PASSWORD)
        session = users.Authenticate(credentials, timeout=SECONDS)
        shown = users.GetUser(
            user_pb2.GetUserRequest(id=user.id),
            metadata=metadata(session.access_token),
            timeout=SECONDS,
        )

        assert verified.is_verified
        assert session.user_id == user.id
        assert shown == verified

    @pytest.mark.parametrize("token", ["guess", "gänsefüßchen"])
    def test_wrong_verification_token_verifies_nobody(
        self, users: user_pb2_grpc.UserServiceStub, committed_database: Database, token: str
    ) -> None:
        user = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)

        code = refused(users.VerifyUser, user_pb2.VerifyUserRequest(id=user.id, token=token))

        assert code is grpc.StatusCode.UNAUTHENTICATED
        with committed_database.begin() as work:
            assert not work.users.get(UUID(user.id)).is_verified

    def test_wrong_credentials_open_no_session(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop
    ) -> None:
        access_token(committed_shop, ADA["email"])
        request = user_pb2.AuthenticateRequest(email=ADA["email"], password="wrong")

        assert refused(users.Authenticate, request) is grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [(str(uuid4()), grpc.StatusCode.NOT_FOUND), ("1", grpc.StatusCode.INVALID_ARGUMENT)],
        ids=["another user", "no id"],
    )
    def test_users_see_themselves_only(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        asked: str,
        expected: grpc.StatusCode,
    ) -> None:
        buyer = metadata(access_token(committed_shop))

        code = refused(users.GetUser, user_pb2.GetUserRequest(id=asked), metadata=buyer)

        assert code is expected
