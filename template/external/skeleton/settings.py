class {{ api.adapter }}Settings(Group):
    model_config = SettingsConfigDict(env_prefix="{{ api.variable }}_")

    url: str
    key: str
    timeout_seconds: float = 3
    """How long one attempt may wait, to connect and then for each part of the answer."""
