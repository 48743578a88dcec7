"""A buyer's open request to cancel. TikTok takes the seller's silence for consent, at a time that only the request's
own record tells (TikTok contract 6.1): it is read once for each request, and where it was not to be had, when the order
is looked at next (waits.request_due). Whatever fails here holds up nothing else.
"""

import logging
from typing import Any

from connector.models import Order
from connector.platforms import tiktok_for
from tiktok.errors import TikTokError
from tiktok.orders import Order as Source
from tiktok.records import PENDING

log = logging.getLogger(__name__)


def read_deadline(order: Order, source: Source) -> None:
    """Keep by when the open request is to be answered, where nobody has asked yet."""
    if not stands(source) or known(order, source):
        return
    order.hold_on()
    try:
        page = tiktok_for(order.connection, live=order.live).search_cancellations(order_ids=[order.tiktok_id])
    except TikTokError as error:
        log.info("a cancel request was not read", extra={"row": order.ref, "error": error.public})
        return
    open_ones = [one.deadline for one in page.cancellations if one.status == PENDING and one.deadline]
    if open_ones:
        order.keep(cancel_request=name_of(source), cancel_due_at=max(open_ones))


def stands(source: Source) -> bool:
    return source.is_buyer_request_cancel and not source.cancelled


def known(order: Order, source: Source) -> bool:
    """Whether the deadline that we have is this request's: a buyer may withdraw one and ask anew."""
    return order.cancel_due_at is not None and order.cancel_request == name_of(source)


def name_of(source: Source) -> str:
    """The order tells no request's id, but when it was made."""
    return source.request_cancel_time.isoformat() if source.request_cancel_time else ""


def observed(order: Order, source: Source) -> dict[str, Any]:
    """The columns of the request: empty where there is none, or no longer."""
    told = stands(source) and known(order, source)
    return {
        "cancel_requested": source.is_buyer_request_cancel,
        "cancel_request": order.cancel_request if told else "",
        "cancel_due_at": order.cancel_due_at if told else None,
    }


def figures(order: Order) -> dict[str, Any]:
    """What the reason's words need."""
    return {"answer_by": {"at": order.cancel_due_at.isoformat()}} if order.cancel_due_at else {}
