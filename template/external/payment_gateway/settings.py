class PaymentGatewaySettings(Group):
    model_config = SettingsConfigDict(env_prefix="PAYMENT_GATEWAY_")

    url: str
    key: str
    timeout_seconds: float = 3
    """How long one attempt may wait, to connect and then for each part of the answer."""
