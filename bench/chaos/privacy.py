"""Whether anything that the platforms ever said of a buyer lies anywhere, or is given out by any page of ours:
tables, Valkey, log files, figures, exports, the file for support, the pages themselves; spelled as JSON, HTML, an
address or Python would spell it.
"""

import html
import re
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import redis
import requests
from django.conf import settings
from django.db import connection

from connector.models import Order

WORD = re.compile(r"\w+")
# with a country's code before the ten digits that are looked for
PHONE = re.compile(r"(?<!\d)\d{11,13}(?!\d)")
ESCAPED = re.compile(
    r"\\x(?:[0-9a-f]{2}){6,}(?![0-9a-f])"  # a column of bytes
    r"|(?:\\u[0-9a-fA-F]{4})+|(?:\\x[0-9a-fA-F]{2})+|(?:\\[0-3][0-7]{2})+|(?:%[0-9a-fA-F]{2})+|\\."
)
COATS = 5  # of escapes, one over the other
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'bytea')
"""
ANSWERS = ("/", "/orders", "/orders?show=attention", "/orders/export", "/orders/older", "/proof", "/products")
ANSWERS += ("/products/export", "/carriers", "/settings", "/connections", "/help", "/help/diagnostics.json")
FIGURES = ("/metrics", "/statusz")
ORDER_PAGES = 30  # of each shop, the newest
TRIES = 5


def find(values: set[str], logs: Path, app_url: str, domains: Sequence[str]) -> list[str]:
    """Where each of the values was found, as "place: its first letters"."""
    found = []
    for place, text in places(logs, app_url, domains):
        found += [f"{place}: {value[:3]}…" for value in sorted(hits(values, text))]
    return found


def hits(values: set[str], text: str) -> set[str]:
    """The values that the text holds, in whatever spelling."""
    found: set[str] = set()
    for reading in readings(text):
        there = set(WORD.findall(reading)) | {number[-10:] for number in PHONE.findall(reading)}
        found |= {value for value in values if words_of(value) <= there and value in reading}
    return found


@cache
def words_of(value: str) -> frozenset[str]:
    return frozenset(WORD.findall(value))


def readings(text: str) -> Iterator[str]:
    """The text as it is, and with its escapes undone, one coat after the other; a form's + may stand for a space."""
    for begun in {text, text.replace("+", " ")}:
        reading = begun
        for _ in range(COATS):
            yield reading
            bare = undone(reading)
            if bare == reading:
                break
            reading = bare


def undone(text: str) -> str:
    """One coat of escapes less: of HTML, addresses, JSON and Python."""
    return ESCAPED.sub(lambda found: letters(found[0]), html.unescape(text))


def letters(escaped: str) -> str:
    match escaped[:2]:
        case "\\u":
            return bytes.fromhex(escaped.replace("\\u", "")).decode("utf-16-be", "replace")
        case "\\x":
            return of_bytes(bytes.fromhex(escaped.replace("\\x", "")))
        case "\\0" | "\\1" | "\\2" | "\\3" if len(escaped) > 2:
            return of_bytes(bytes(int(octal, 8) for octal in escaped.split("\\")[1:]))
        case _ if escaped[0] == "%":
            return of_bytes(bytes.fromhex(escaped.replace("%", "")))
        case _:
            return {"n": "\n", "t": "\t"}.get(escaped[1], escaped[1])


def of_bytes(raw: bytes) -> str:
    """UTF-8, or a letter for each byte, as Python writes a text that is no bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def places(logs: Path, app_url: str, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from answers(app_url, domains)  # first: what they leave in a log is read below
    yield from columns()
    yield from valkey()
    for file in sorted(logs.glob("*.log*")):
        yield f"log {file.name}", file.read_text(errors="replace")


def answers(app_url: str, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the running app tells those who may ask."""
    operator = {"Authorization": f"Bearer {settings.STATUS_TOKEN}"}
    for path in FIGURES:
        yield f"answer {path}", fetch(f"{app_url}{path}", operator)
    for domain in domains:
        newest = Order.objects.filter(shop__domain=domain).order_by("-pk").values_list("pk", flat=True)
        pages = [f"/orders/{key}" for key in newest[:ORDER_PAGES]]
        for path in (*ANSWERS, *pages):
            merchant = {"Authorization": f"Bearer {session_token(domain)}"}
            yield f"answer {path} of {domain}", fetch(f"{app_url}{path}", merchant)


def fetch(url: str, headers: dict[str, str]) -> str:
    """Patient: both platforms still fail at random, and a page may have to ask them."""
    for _ in range(TRIES):
        reply = requests.get(url, headers=headers, timeout=60)
        if reply.ok:
            break
        time.sleep(1)
    reply.raise_for_status()
    return reply.text


def session_token(domain: str) -> str:
    now = int(time.time())
    facts = {
        "iss": f"https://{domain}/admin",
        "dest": f"https://{domain}",
        "sub": "1",
        "jti": "1",
        "sid": "1",
    }
    times = {"exp": now + 60, "nbf": now, "iat": now}
    claims = facts | times | {"aud": settings.SHOPIFY_API_KEY}
    return jwt.encode(claims, settings.SHOPIFY_API_SECRET, algorithm="HS256")


def columns() -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL')
            yield f"table {table}.{column}", "\n".join(row[0] for row in cursor.fetchall())


def valkey() -> Iterator[tuple[str, str]]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for key in client.scan_iter():
            yield f"valkey {key!r}", f"{key!r}\n{dump(client, key)!r}"


def dump(client: Any, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"stream":
            return client.xrange(key)
        case _:
            return client.get(key)
