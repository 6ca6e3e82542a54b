class PostgresSettings(Group):
    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    url: str
    """An SQLAlchemy URL."""
    connect_seconds: int = 5
    silent_seconds: int = 10
    """How long the server's machine may say nothing at all until the connection counts as lost."""
    pool_seconds: float = 5
    """How long a unit of work waits for one of the connections."""
    statement_seconds: float = 10
    lock_seconds: float = 5
    """How much of a statement may be waiting for a lock."""
