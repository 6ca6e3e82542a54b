from {{ package_name }}.passwords import Passwords


class TestPasswords:
    def test_hash_differs_each_time_and_verifies(self, passwords: Passwords) -> None:
        first, second = passwords.hash("secret"), passwords.hash("secret")

        assert first != second
        assert passwords.verify(first, "secret")
        assert passwords.verify(second, "secret")

    def test_wrong_password_does_not_verify(self, passwords: Passwords) -> None:
        assert not passwords.verify(passwords.hash("secret"), "Secret")

    def test_no_hash_and_broken_hash_verify_nothing(self, passwords: Passwords) -> None:
        assert not passwords.verify(None, "")
        assert not passwords.verify("!", "")
        assert not passwords.verify("$argon2id$broken", "")

    def test_default_hasher_is_argon2id(self) -> None:
        assert Passwords().hash("secret").startswith("$argon2id$")
