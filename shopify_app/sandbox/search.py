"""Shopify's search: a query language that ignores what it does not know, over an index that lags the truth.

Only `extensions.search` tells of an ignored filter (Shopify contract g), so a caller who does not read it gets
everything.
"""

import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shopify_app.sandbox.clock import Clock

Snapshot = Mapping[str, Any]
Test = Callable[[Snapshot], bool]

FIELDS = {
    "draftOrders": {"created_at", "customer_id", "id", "source", "status", "tag", "updated_at"},
    "orders": {
        *("cancelled_at", "created_at", "financial_status", "fulfillment_status", "gateway", "id", "name"),
        *("po_number", "processed_at", "sku", "source_identifier", "source_name", "status", "tag", "tag_not"),
        *("test", "updated_at"),
    },
    "productVariants": {"id", "product_id", "product_status", "sku", "tag", "title", "updated_at", "vendor"},
    "products": {"created_at", "handle", "id", "sku", "status", "tag", "title", "updated_at", "vendor"},
}
FUZZY = {"sku", "title", "name", "vendor"}
TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])
        |(?P<minus>-)?(?P<field>[A-Za-z_][\w.$]*):(?P<op>[<>]=?)?
         (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s()]*))
        |"(?P<phrase>(?:[^"\\]|\\.)*)"
        |(?P<word>[^\s()]+))""",
    re.VERBOSE,
)


@dataclass
class Search:
    """A query understood as far as Shopify understands it."""

    query: str
    test: Test
    warnings: list[dict[str, Any]] = field(default_factory=list)
    tag: str | None = None

    def report(self, root: str) -> dict[str, Any]:
        first = self.warnings[0]
        return {
            "path": [root],
            "query": self.query,
            "parsed": first["parsed"],
            "warnings": [{"field": w["field"], "message": w["message"]} for w in self.warnings],
        }


def understand(query: str | None, root: str) -> Search:
    """Parse a search query for a root field such as `draftOrders`."""
    search = Search(query or "", lambda _: True)
    if query and query.strip():
        search.test = _Parser(query, root, search).alternatives()
    return search


class _Parser:
    def __init__(self, query: str, root: str, search: Search) -> None:
        self._tokens = [m for m in TOKEN.finditer(query) if m.group().strip()]
        self._at = 0
        self._root = root
        self._search = search
        terms = [t for t in self._tokens if t["word"] not in ("AND",)]
        if len(terms) == 1 and terms[0]["field"] == "tag" and not terms[0]["minus"]:
            search.tag = _value(terms[0]).casefold()

    def alternatives(self) -> Test:
        tests = [self.conjunction()]
        while self._word("OR"):
            tests.append(self.conjunction())
        return lambda item: any(test(item) for test in tests)

    def conjunction(self) -> Test:
        tests = []
        while (token := self._peek()) and token["paren"] != ")" and token["word"] != "OR":
            if not self._word("AND"):
                tests.append(self.term())
        return lambda item: all(test(item) for test in tests)

    def term(self) -> Test:
        if self._word("NOT"):
            inner = self.term()
            return lambda item: not inner(item)
        token = self._tokens[self._at]
        self._at += 1
        if token["paren"] == "(":
            inside = self.alternatives()
            self._at += 1
            return inside
        if token["field"] is None:
            return _free_text(
                _unescape(token["phrase"]) if token["phrase"] is not None else token["word"] or ""
            )
        test = self._filter(token)
        return (lambda item: not test(item)) if token["minus"] else test

    def _filter(self, token: re.Match[str]) -> Test:
        name, operator, value = token["field"], token["op"] or "", _value(token)
        known = name in FIELDS[self._root] or (self._root == "orders" and name.startswith("metafields."))
        if not known:
            self._warn(name, value, "Invalid search field for this query.")
            return lambda _: True
        if token["bare"] and ":" in token["bare"]:
            value = token["bare"].split(":")[0]
            self._warn(name, value, "The value was cut at its colon. Quote a value that holds a colon.")
        if name.endswith("_at"):
            moment = _moment(value)
            if moment is None:
                self._warn(name, value, "Invalid date for this query.")
                return lambda _: True
            return _compare_moment(name, operator, moment)
        return _compare_text(name, value)

    def _warn(self, name: str, value: str, message: str) -> None:
        self._search.warnings.append(
            {"field": name, "message": message, "parsed": {"field": name, "match_all": value}}
        )

    def _peek(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self, word: str) -> bool:
        token = self._peek()
        if token and token["word"] == word:
            self._at += 1
            return True
        return False


def _value(token: re.Match[str]) -> str:
    for group in ("double", "single"):
        if token[group] is not None:
            return _unescape(token[group])
    return token["bare"] or ""


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _moment(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compare_moment(name: str, operator: str, bound: datetime) -> Test:
    def test(item: Snapshot) -> bool:
        moment = item.get(name)
        if moment is None:
            return False
        return bool(
            {
                ">": moment > bound,
                ">=": moment >= bound,
                "<": moment < bound,
                "<=": moment <= bound,
            }.get(operator, moment == bound)
        )

    return test


def _compare_text(name: str, value: str) -> Test:
    wanted = value.casefold()
    if name == "tag_not":
        return lambda item: wanted not in _texts(item.get("tag"))
    if wanted.endswith("*"):
        return lambda item: any(text.startswith(wanted[:-1]) for text in _texts(item.get(name)))
    if name in FUZZY:
        return lambda item: any(_contains_words(text, wanted) for text in _texts(item.get(name)))
    return lambda item: wanted in _texts(item.get(name))


def _free_text(value: str) -> Test:
    wanted = value.casefold().rstrip("*")

    def test(item: Snapshot) -> bool:
        return any(
            wanted in text
            for name in ("name", "tag", "sku", "title", "note")
            for text in _texts(item.get(name))
        )

    return test


def _contains_words(text: str, wanted: str) -> bool:
    """A term matches a whole text, or the beginning of one up to a word's end: `TEE-M` finds `tee-m-old`."""
    return text == wanted or (text.startswith(wanted) and not text[len(wanted)].isalnum())


def _texts(value: Any) -> list[str]:
    values: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
    return [str(v).casefold() for v in values if v is not None]


class Index:
    """What search knows of one kind of object, some seconds behind the truth."""

    def __init__(self, clock: Clock, lag: Callable[[], float]) -> None:
        self._clock = clock
        self._lag = lag
        self._known: dict[str, Snapshot] = {}
        self._by_tag: dict[str, set[str]] = {}
        self._coming: list[tuple[float, int, str, Snapshot | None]] = []
        self._order = itertools.count()
        self._latest: dict[str, float] = {}

    def put(self, gid: str, snapshot: Snapshot | None) -> None:
        """The object changed (None: it is gone); search learns of it later, in the order of the changes."""
        visible = max(self._clock.now().timestamp() + self._lag(), self._latest.get(gid, 0.0))
        self._latest[gid] = visible
        heapq.heappush(self._coming, (visible, next(self._order), gid, snapshot))

    def find(self, search: Search) -> list[str]:
        self._catch_up()
        candidates = self._known if search.tag is None else self._by_tag.get(search.tag, set())
        return [gid for gid in candidates if search.test(self._known[gid])]

    def settle(self) -> None:
        """Learn at once of everything that happened so far."""
        self._catch_up(float("inf"))

    def _catch_up(self, now: float | None = None) -> None:
        now = self._clock.now().timestamp() if now is None else now
        while self._coming and self._coming[0][0] <= now:
            _, _, gid, snapshot = heapq.heappop(self._coming)
            for tag in _texts(self._known.get(gid, {}).get("tag", ())):
                self._by_tag[tag].discard(gid)
            if snapshot is None:
                self._known.pop(gid, None)
                continue
            self._known[gid] = snapshot
            for tag in _texts(snapshot.get("tag", ())):
                self._by_tag.setdefault(tag, set()).add(gid)
