"""What the platforms' ledgers hold of ours against what the orders' timelines say: every write has its line.

A line is missing only where nobody was left who could write it: the answer was lost on its way, or its asker or the
database died under it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from bench.chaos.replay import told, writes
from bench.chaos.run import Story
from bench.chaos.stage import Stage
from connector.models import OrderLog

# An entry of a ledger -> the call that a timeline names.
CALLS = {
    "draft_created": "draftOrderCreate",
    "draft_updated": "draftOrderUpdate",
    "draft_deleted": "draftOrderDelete",
    "order_created": "draftOrderComplete",
    "order_updated": "orderUpdate",
    "cancel_started": "orderCancel",
    "order_paid": "orderMarkAsPaid",
    "external_order": "external_orders",
    "ship": "ship",
    "correction": "correct_tracking",
}
WITHOUT_EFFECT = ("completed_again", "ship_refused", "correction_refused")
# The platform's own doing, after a call that has its line.
BY_A_CALL = ("order_cancelled", "cancel_request_rejected_by_shipping")
UNSURE = 0.5  # seconds before its deadline from which on an answer may have come too late
ABOUT = timedelta(seconds=1)  # how exactly we know when a process died
MENDING = timedelta(seconds=5)  # that connections to a database that is back need

Key = tuple[str, str]  # TikTok order id, call


@dataclass
class Compared:
    lines: int = 0
    lost: int = 0  # writes whose answer was lost
    died: int = 0  # writes whose asker may have died
    without_line: list[str] = field(default_factory=list)
    without_write: list[str] = field(default_factory=list)


def compare(stage: Stage, story: Story) -> Compared:
    made = Compared()
    due: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    possible: Counter[Key] = Counter()
    owners = owners_of(stage)
    for entry in writes(stage):
        call = call_of(entry)
        if entry["what"] in WITHOUT_EFFECT + BY_A_CALL or not call:
            continue
        key = owners.get(subject(entry), ""), call
        possible[key] += 1
        if unheard(entry):
            made.lost += 1
        elif orphaned(entry, story):
            made.died += 1
        else:
            due[key].append(entry)
    lines = lines_written()
    made.lines = lines.total()
    made.without_line = [
        f"{key[0]} {key[1]}: {told(entry)}" for key, found in due.items() for entry in found[lines[key] :]
    ]
    made.without_write = [
        f"{key[0]} {key[1]}: {times} lines, {possible[key]} writes"
        for key, times in lines.items()
        if times > possible[key]
    ]
    return made


def call_of(entry: dict[str, Any]) -> str:
    if entry["what"] == "tags_changed":
        return "tagsAdd" if entry["added"] else "tagsRemove"
    return CALLS.get(entry["what"], entry["what"])


def subject(entry: dict[str, Any]) -> str:
    return next(str(entry[name]) for name in ("order_id", "order", "draft", "id", "shop") if name in entry)


def owners_of(stage: Stage) -> dict[str, str]:
    """The TikTok order of every draft and order that ever was, and of itself."""
    owners = {tiktok_id: tiktok_id for tiktok_id in stage.tiktok.orders}
    for entry in stage.shopify.ledger:
        tagged = [tag for tag in entry.get("tags", ()) if tag.startswith("tts-")]
        for gid in (entry.get("draft"), entry.get("order")):
            if tagged and gid:
                owners[gid] = tagged[0].removeprefix("tts-")
    return owners


def unheard(entry: dict[str, Any]) -> bool:
    """A call's answer was not sent whole, or when whoever asked may have gone."""
    took = entry.get("answered")
    return took is None or took > settings.CALL_DEADLINE_SECONDS - UNSURE


def orphaned(entry: dict[str, Any], story: Story) -> bool:
    at = datetime.fromisoformat(entry["at"])
    return any(first <= at <= last for first, last in deaths(story))


def deaths(story: Story) -> Iterator[tuple[datetime, datetime]]:
    """When a write may have lost whoever was to note it."""
    call = timedelta(seconds=settings.CALL_DEADLINE_SECONDS)
    for kill in story.kills:
        back = timedelta(seconds=kill.restarted or 0) + MENDING if kill.victim == "postgres" else ABOUT
        if kill.victim.startswith("worker") or kill.victim == "postgres":
            yield kill.at - call, kill.at + back


def lines_written() -> Counter[Key]:
    lines: Counter[Key] = Counter()
    rows = OrderLog.objects.filter(what="wrote").values_list("order__tiktok_id", "call", "detail")
    for tiktok_id, call, detail in rows.iterator():
        if not detail.get("refused"):
            lines[tiktok_id, call] += 1
    return lines
