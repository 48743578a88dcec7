"""How TikTok signs requests and webhooks (TikTok contract 2 and 3.1). Pure; pinned by golden vectors."""

import hmac
from collections.abc import Mapping

NOT_SIGNED = frozenset(("sign", "access_token", "x-tts-access-token"))


def sign(secret: str, path: str, params: Mapping[str, str], body: bytes, content_type: str) -> str:
    """The `sign` parameter of a request, in lower-case hex.

    `params` hold decoded values; `body` is exactly what is sent (left out for multipart uploads).
    """
    query = "".join(f"{key}{params[key]}" for key in sorted(params.keys() - NOT_SIGNED, key=str.encode))
    signed_body = b"" if content_type.startswith("multipart/form-data") else body
    message = f"{secret}{path}{query}".encode() + signed_body + secret.encode()
    return hmac_hex(secret, message)


def webhook_signature(app_key: str, secret: str, raw: bytes) -> str:
    """What TikTok puts into the `Authorization` header of a webhook with this raw body."""
    return hmac_hex(secret, app_key.encode() + raw)


def hmac_hex(secret: str, message: bytes) -> str:
    return hmac.digest(secret.encode(), message, "sha256").hex()
