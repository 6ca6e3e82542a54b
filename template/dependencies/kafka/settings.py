class KafkaSettings(Group):
    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str
    topic: str = "shop-events"
    dead_letters: str = "shop-events-dead-letters"
    """The topic of events that cannot be processed."""
    group: str = "shop"
    session_ms: int = 45_000
    """How soon the group notices that a consumer is gone."""
    delivery_seconds: float = 10
    """How long the broker may take to accept an event."""
