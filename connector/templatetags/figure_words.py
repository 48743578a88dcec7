"""How pages write the figures of the home page and the proof."""

from datetime import date, datetime

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from connector import figures, guide, proof
from connector.models import Audit
from connector.reasons import REASONS
from connector.reasons import reason as reason_of

register = template.Library()

MARK_TONES = {guide.Mark.GOOD: "success", guide.Mark.WRONG: "critical", guide.Mark.LATER: "neutral"}


@register.filter
def lasting(seconds: float | None) -> str:
    """A stretch of time as a person says it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return _("%(n)s s") % {"n": f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"}
    minutes = round(seconds / 60)
    if minutes < 120:
        return ngettext("%(n)d min", "%(n)d min", minutes) % {"n": minutes}
    return _("%(n)d h") % {"n": round(minutes / 60)}


@register.filter
def mark_tone(mark: guide.Mark) -> str:
    return MARK_TONES[mark]


@register.filter
def speed_tone(latency: figures.Latency) -> str:
    return "success" if latency.within_target else "caution"


@register.filter
def deadline_tone(deadlines: figures.Deadlines) -> str:
    return "critical" if deadlines.late or deadlines.very_soon else "warning"


@register.filter
def found(finding: dict[str, str]) -> proof.Words:
    """The words for what a comparison with TikTok found."""
    return proof.FOUND[finding["what"]]


@register.filter
def reason_title(code: str) -> str:
    return str(reason_of(code).title)


@register.filter
def stopped(audit: Audit) -> str:
    """Why a comparison did not come to its end: a reason of ours, or the platform's words."""
    known = REASONS.get(audit.words)
    return f"{known.title}. {known.do}" if known else audit.words


@register.filter
def at(dates: dict[date, datetime], day: date) -> datetime | None:
    return dates.get(day)


@register.filter
def of(counts: dict[str, int], outcome: str) -> int:
    return counts[outcome]
