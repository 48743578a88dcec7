"""What the children read: environment for tests, for `run` and for `up`."""

from connector.launcher.engines import Postgres, Valkey

LOCAL_PLATFORMS = {
    "ALLOW_LOCAL_PLATFORMS": "1",
    "DEBUG": "0",
}


def test_environment(postgres: Postgres, valkey: Valkey) -> dict[str, str]:
    """Every value settings.py asks for. Platform URLs lead nowhere until a test starts a sandbox and sets its own."""
    return LOCAL_PLATFORMS | {
        "DJANGO_SETTINGS_MODULE": "connector.settings",
        "SECRET_KEY": "a-key-for-tests-only-0123456789-0123456789-0123456789",
        "APP_URL": "http://127.0.0.1:8000",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": valkey.url,
        "TOKEN_ENCRYPTION_KEYS": "bDBSV3Z6NUhrbnNfMEJnVW1hQ3R4cTlJWmVkN2pQcks=,T2xkZXJLZXlPbGRlcktleU9sZGVyS2V5T2xkZXJLZXk=",
        "STATUS_TOKEN": "status-token",
        "SHOPIFY_API_KEY": "shopify-key",
        "SHOPIFY_API_SECRET": "shopify-secret-0123456789-0123456789",
        "SHOPIFY_API_SECRET_OLD": "shopify-old-secret-0123456789-012345",
        "SHOPIFY_APP_HANDLE": "tiktok-shop-connector",
        "SHOPIFY_SHOP_URL": "http://127.0.0.1:9/{shop}",
        "SHOPIFY_ADMIN_URL": "http://127.0.0.1:9/admin",
        "SHOPIFY_CDN_URL": "http://127.0.0.1:9/cdn",
        "TIKTOK_APP_KEY": "tiktok-key",
        "TIKTOK_APP_SECRET": "tiktok-secret-0123456789",
        "TIKTOK_SERVICE_ID": "7000000000000000001",
        "TIKTOK_API_URL": "http://127.0.0.1:9/tiktok-api",
        "TIKTOK_AUTH_URL": "http://127.0.0.1:9/tiktok-auth",
        "TIKTOK_CONSENT_URL": "http://127.0.0.1:9/tiktok-consent",
        "CALL_DEADLINE_SECONDS": "3",
        "CONNECT_TIMEOUT_SECONDS": "1",
        "BACKOFF_BASE_SECONDS": "0.05",
        "READY_WAITS": "0.05,0.1,0.2,0.4,0.8,1,1,1",
        "LOG_FORMAT": "console",
    }
