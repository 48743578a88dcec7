"""Does over HTTP what a merchant does in a browser: opens the app, connects TikTok, approves."""

from collections.abc import Mapping


def frame_url(env: Mapping[str, str]) -> str:
    """The stand-in admin with the app inside it."""
    shop = env["DEMO_SHOP"].removesuffix(".myshopify.com")
    return f"{env['SHOPIFY_ADMIN_URL']}/store/{shop}/apps/{env['SHOPIFY_APP_HANDLE']}"


def visit(env: Mapping[str, str]) -> None:
    return None
