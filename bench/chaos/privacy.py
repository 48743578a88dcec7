"""Whether anything that the platforms ever said of a buyer lies anywhere: tables, Valkey, log files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import connection

WORD = re.compile(r"\w+")
PHONE = re.compile(
    r"(?<!\d)\d{11,13}(?!\d)"
)  # with a country's code before the ten digits that are looked for
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'bytea')
"""


def find(values: set[str], logs: Path) -> list[str]:
    """Where each of the values was found, as "place: its first letters"."""
    spellings = {spelling: value for value in values for spelling in (value, json.dumps(value)[1:-1])}
    words = {spelling: frozenset(WORD.findall(spelling)) for spelling in spellings}
    found = []
    for place, text in places(logs):
        there = set(WORD.findall(text)) | {number[-10:] for number in PHONE.findall(text)}
        found += [
            f"{place}: {spellings[spelling][:3]}…"
            for spelling, needed in words.items()
            if needed <= there and spelling in text
        ]
    return found


def places(logs: Path) -> Iterator[tuple[str, str]]:
    yield from columns()
    yield from valkey()
    for file in sorted(logs.glob("*.log*")):
        yield f"log {file.name}", file.read_text(errors="replace")


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
