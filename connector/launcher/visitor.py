"""Does over HTTP what a merchant does in a browser: opens the app, follows the link to TikTok, approves, confirms."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from connector.launcher.environment import DEMO_SHOP

PATIENCE_SECONDS = 45
TIMEOUT = 20


class NotThere(Exception):
    """A page does not show what a merchant would click next."""


def frame_url(env: Mapping[str, str]) -> str:
    """The stand-in admin with the app inside it."""
    shop = DEMO_SHOP.removesuffix(".myshopify.com")
    return f"{env['SHOPIFY_ADMIN_URL']}/store/{shop}/apps/{env['SHOPIFY_APP_HANDLE']}"


def visit(env: Mapping[str, str]) -> str:
    """Install the app and connect TikTok, unless both was done before.

    Gives "" when done, else what a person has to do by hand.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    with requests.Session() as browser:
        while True:
            try:
                connect(browser, env)
            except (requests.RequestException, NotThere) as error:
                if time.monotonic() > until:
                    # Not the words of a request that failed: its address holds a session token.
                    why = error if isinstance(error, NotThere) else type(error).__name__
                    return f"connecting TikTok did not work by itself ({why}): do it in the app's page"
                time.sleep(1)
            else:
                return ""


def connect(browser: requests.Session, env: Mapping[str, str]) -> None:
    home = open_in_admin(browser, frame_url(env))
    if not home.has("form", id="claim"):
        return  # connected in an earlier run
    consent = load(browser, home.link("consent"))
    # TikTok, our callback, and back into the admin
    decided = browser.get(consent.link("yes"), timeout=TIMEOUT)
    confirm = open_in_admin(browser, decided.url)
    connected = submit(browser, env, confirm)
    if not connected.has("a", href="/orders"):
        raise NotThere("the app does not say that it is connected")


@dataclass
class Page(HTMLParser):
    """An HTML page by its elements: (tag, attributes)."""

    url: str
    text: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]

    def has(self, tag: str, **wanted: str) -> bool:
        return bool(self.all(tag, **wanted))

    def link(self, css_class: str) -> str:
        """Where the first link of this class leads."""
        for found in self.all("a"):
            if css_class in found.get("class", "").split():
                return urljoin(self.url, found["href"])
        raise NotThere(f"no link .{css_class}")


def load(browser: requests.Session, url: str) -> Page:
    reply = browser.get(url, timeout=TIMEOUT)
    reply.raise_for_status()
    return Page(reply.url, reply.text)


def open_in_admin(browser: requests.Session, url: str) -> Page:
    """The document that the admin's page frames."""
    frames = load(browser, url).all("iframe")
    if not frames:
        raise NotThere("no frame in the admin's page")
    return load(browser, urljoin(url, frames[0]["src"]))


def submit(browser: requests.Session, env: Mapping[str, str], page: Page) -> Page:
    """Send the page's form as it stands, with a session token as App Bridge adds it."""
    forms = page.all("form", method="post")
    if not forms:
        raise NotThere("no form to confirm the connection")
    values = [(one["name"], one["value"]) for one in page.all("input", type="hidden")]
    values += [(one["name"], one["value"]) for one in page.all("s-checkbox") if "checked" in one]
    admin = env["SHOPIFY_ADMIN_URL"].removesuffix("/admin")
    token = browser.get(f"{admin}/_sandbox/id_token", timeout=TIMEOUT).json()["id_token"]
    reply = browser.post(
        urljoin(page.url, forms[0]["action"]),
        data=values,
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT,
    )
    reply.raise_for_status()
    return Page(reply.url, reply.text)
