"""Every setting of the service, with its default. A variable is the prefix of its class and its name."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Group(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True)

    @classmethod
    def load(cls, **values: object) -> Self:
        """Read the environment; `values` win over it. Raises pydantic.ValidationError."""
        return cls.model_validate(values)


class Service(Group):
    mail_folder: Path = Path("mail")
{% for api in offered_apis %}
    {{ api.address | lower }}: str = "127.0.0.1:{{ api.port }}"
{% endfor %}
{% for api in selected + third_parties %}


{% include 'template/' ~ ('external/' ~ api.folder if api.folder is defined else 'dependencies/' ~ api.name) ~ '/settings.py' ignore missing %}
{% endfor %}


@dataclass(frozen=True)
class Settings:
    """What the service needs to start."""

    service: Service
{% for port in wiring.ports if port.provider %}
    {{ port.provider.name }}: {{ port.provider.name | replace('_', ' ') | title | replace(' ', '') }}Settings
{% endfor %}

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SystemExit: variables are missing or wrong. One line names them all, without their
                values: those may hold passwords.
        """
        groups: dict[str, Any] = {}
        problems = []
        for field in fields(cls):
            group: Any = field.type
            try:
                groups[field.name] = group.load()
            except ValidationError as error:
                for each in error.errors():
                    name = f"{group.model_config['env_prefix']}{each['loc'][0]}".upper()
                    missing = each["type"] == "missing"
                    problems.append(f"{name} {'is not set' if missing else each['msg']}")
        if problems:
            raise SystemExit(f"The service cannot start: {', '.join(problems)}")
        return cls(**groups)
