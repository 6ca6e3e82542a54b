import {{ package_name }}


def test_package_can_be_imported() -> None:
    assert {{ package_name }}.__name__ == "{{ package_name }}"
