"""Visits to the embedded pages as App Bridge makes them, each with a fresh session token."""

import html
import re
import time
from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.http import HttpResponse
from django.test import Client


def session_token(domain: str, user: str = "42", **claims: Any) -> str:
    now = int(time.time())
    facts = {
        "iss": f"https://{domain}/admin",
        "dest": f"https://{domain}",
        "aud": settings.SHOPIFY_API_KEY,
        "sub": user,
        "exp": now + 60,
        "nbf": now,
        "iat": now,
        "jti": "1",
        "sid": "2",
    }
    return jwt.encode(facts | claims, settings.SHOPIFY_API_SECRET, algorithm="HS256")


@dataclass
class Visitor:
    """A user of one shop. `open` loads a document, `fetch` and `post` are what htmx does in the page."""

    domain: str
    user: str = "42"

    def open(self, path: str, **query: str) -> HttpResponse:
        return Client().get(path, query | {"id_token": session_token(self.domain, self.user)})

    def fetch(self, path: str, **query: str) -> HttpResponse:
        return Client().get(path, query, headers=self.headers)

    def post(self, path: str, **form: Any) -> HttpResponse:
        return Client().post(path, form, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {session_token(self.domain, self.user)}", "HX-Request": "true"}


def text(response: HttpResponse) -> str:
    """What a reader sees: headings that Polaris shows, no tags, one space between words."""
    page = re.sub(r'<s-[^>]* heading="([^"]*)"[^>]*>', r" \1 ", response.content.decode())
    words = re.sub(r"<(script|title)[^>]*>.*?</\1>|<[^>]+>", " ", page, flags=re.S)
    return html.unescape(" ".join(words.split()))
