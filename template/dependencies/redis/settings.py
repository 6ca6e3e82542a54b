class RedisSettings(Group):
    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: str
    timeout_seconds: float = 5
    """How long an answer may take."""
