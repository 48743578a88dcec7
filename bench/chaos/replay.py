"""When all is quiet, every event is answered anew, as often as the size says: nothing of it may reach a platform."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from bench.chaos.stage import Stage

if TYPE_CHECKING:
    from bench.chaos.run import Run

LEAST_PATIENCE = 60.0
SLOWEST = 30.0  # events a second; several times as many are answered under load
ACCESS = ("app_installed", "token_granted", "token_exchanged", "token_refreshed")  # nothing of an order


@dataclass
class Replay:
    answered: int = 0  # over all times
    writes: list[str] = field(default_factory=list)  # what reached a platform, which nothing may
    unanswered: list[str] = field(default_factory=list)


def replay(run: "Run") -> Replay:
    from connector.models import InboxEvent

    done = Replay()
    began = len(run.stage.tiktok.ledger), len(run.stage.shopify.ledger)
    for time in range(run.story.size.replays):
        now = timezone.now()
        # As it came in: nothing of the first answer is left that could spare the second.
        count = InboxEvent.objects.update(
            due_at=now, done_at=None, outcome="", attempts=0, failing_since=None, last_error=""
        )
        run.say(f"replay {time + 1} of {count} events")
        run.play(0, LEAST_PATIENCE + count / SLOWEST)
        unanswered = InboxEvent.objects.filter(outcome="")
        done.answered += count - unanswered.count()
        done.unanswered += [f"{event.ref} {event.topic} in replay {time + 1}" for event in unanswered[:100]]
    done.writes = [told(entry) for entry in writes(run.stage, *began)]
    return done


def writes(stage: Stage, in_tiktok: int = 0, in_shopify: int = 0) -> list[dict[str, Any]]:
    """What we did at either platform, from those places of their ledgers on; what others did there is theirs."""
    return [
        entry
        for entry in (*stage.tiktok.ledger[in_tiktok:], *stage.shopify.ledger[in_shopify:])
        if entry.get("by", "app") == "app" and entry["what"] not in ACCESS
    ]


def told(entry: dict[str, Any]) -> str:
    subject = next((entry[name] for name in ("order_id", "draft", "order", "id") if name in entry), "")
    return f"{entry['at']} {entry['what']} {subject}"
