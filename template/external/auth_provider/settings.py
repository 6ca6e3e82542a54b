class AuthProviderSettings(Group):
    model_config = SettingsConfigDict(env_prefix="AUTH_PROVIDER_")

    url: str
    client_id: str
    client_secret: str
    redirect_uri: str
    timeout_seconds: float = 3
    """How long one attempt may wait, to connect and then for each part of the answer."""
