import grpc
import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.generated import sign_in_pb2, sign_in_pb2_grpc

from tests.clients import access_token
from tests.clients.grpc import SECONDS, refused
from tests.fixtures.shop import Person


@pytest.fixture
def sign_in(grpc_channel: grpc.Channel) -> sign_in_pb2_grpc.SignInServiceStub:
    """Stub of the sign-in service."""
    return sign_in_pb2_grpc.SignInServiceStub(grpc_channel)


class TestIntegrationGrpcSignIn:
    def test_sign_in_with_the_state_of_another_one_is_unauthenticated(
        self, sign_in: sign_in_pb2_grpc.SignInServiceStub, person: Person
    ) -> None:
        begun, other = (
            sign_in.BeginSignIn(sign_in_pb2.BeginSignInRequest(), timeout=SECONDS) for _ in range(2)
        )
        code = person("eve@example.com", "Eve")(begun.url)
        request = sign_in_pb2.SignInRequest(state=other.state, code=code)

        assert refused(sign_in.SignIn, request) is grpc.StatusCode.UNAUTHENTICATED

    def test_sign_in_with_the_address_of_another_user_already_exists(
        self,
        sign_in: sign_in_pb2_grpc.SignInServiceStub,
        committed_shop: Shop,
        person: Person,
    ) -> None:
        access_token(committed_shop, "eve@example.com")
        begun = sign_in.BeginSignIn(sign_in_pb2.BeginSignInRequest(), timeout=SECONDS)
        code = person("eve@example.com", "Eve")(begun.url)
        request = sign_in_pb2.SignInRequest(state=begun.state, code=code)

        assert refused(sign_in.SignIn, request) is grpc.StatusCode.ALREADY_EXISTS

    @pytest.mark.parametrize("code", ["", "x" * 2_001])
    def test_code_of_no_usual_length_is_an_invalid_argument(
        self, sign_in: sign_in_pb2_grpc.SignInServiceStub, code: str
    ) -> None:
        request = sign_in_pb2.SignInRequest(state="any", code=code)

        assert refused(sign_in.SignIn, request) is grpc.StatusCode.INVALID_ARGUMENT
