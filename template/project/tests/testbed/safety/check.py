"""Refuse servers that might not be for tests."""

from ..dependency import Dependency


def refusal(dependency: Dependency, url: str) -> str | None:
    """Return why the tests may not use the server at `url`, None if they may."""
    begin = f"{dependency.name}: {dependency.address_variable}"
    try:
        address = dependency.address(url)
    except ValueError as error:
        return f"{begin} cannot be used: {error}."
    if reason := dependency.refusal(address):
        return f"{begin} is {address}, and {reason}."
    return None
