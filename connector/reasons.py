"""Why something waits for a person: the one table of every reason, in words a merchant understands. Pure.

A row keeps the code; pages, logs and notices take the words from here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Reason:
    """What happened (`title`), `why`, what to `do`, and the key of the button that does it.

    `figures` is a sentence with the names of the row's detail in braces; it is left out where they are missing.
    """

    code: str
    title: Words
    why: Words
    do: Words
    action: str
    figures: Words = ""

    def told(self, detail: Mapping[str, Any]) -> str:
        """The figures of one case, or "" where the detail does not hold them."""
        try:
            return str(self.figures).format_map({key: _readable(value) for key, value in detail.items()})
        except KeyError:
            return ""


def reason(code: str) -> Reason:
    """The words for a code. One that is not in the table is still shown, as an unexpected failure."""
    return REASONS.get(code) or REASONS["unexpected"]


def _readable(value: Any) -> str:
    """A thing by what a person calls it; a list one after the other."""
    if isinstance(value, Mapping):
        return _named(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(filter(None, map(_readable, value)))
    return str(value)


def _named(thing: Mapping[str, Any]) -> str:
    """A time, a difference with both values, a line by its title or SKU, a parcel by carrier and number."""
    if "at" in thing:
        return date_format(localtime(datetime.fromisoformat(thing["at"])), "M j, H:i")
    what = str(thing.get("what", "")).replace("_", " ")
    if "before" in thing:
        return f"{thing.get('title', '')} {what}: {thing['before']} → {thing.get('after', '')}".strip()
    parcel = " ".join(str(thing[key]) for key in ("carrier", "number") if thing.get(key))
    return str(thing.get("title") or thing.get("sku") or parcel or what)


# What a button does. The page knows how; a link among them leaves the app.
LOOK_AGAIN = "look_again"
MAP_SKU = "map_sku"
MAP_CARRIER = "map_carrier"
IMPORT = "import"
FINALIZE_ANYWAY = "finalize_anyway"
RESTORE_DRAFT = "restore_draft"
SEND_ANYWAY = "send_anyway"
DISMISS = "dismiss"
GO_ON = "go_on"
RECONNECT_TIKTOK = "reconnect_tiktok"
RECONNECT_SHOPIFY = "reconnect_shopify"
SETTINGS = "settings"
OPEN_TIKTOK = "open_tiktok"
OPEN_SHOPIFY = "open_shopify"
ACTIONS = frozenset(
    {
        LOOK_AGAIN,
        MAP_SKU,
        MAP_CARRIER,
        IMPORT,
        FINALIZE_ANYWAY,
        RESTORE_DRAFT,
        GO_ON,
        SEND_ANYWAY,
        DISMISS,
        RECONNECT_TIKTOK,
        RECONNECT_SHOPIFY,
        SETTINGS,
        OPEN_TIKTOK,
        OPEN_SHOPIFY,
    }
)

ROWS = (
    # Before the order is in Shopify
    Reason(
        "sku_unmapped",
        _("A product is not linked"),
        _("No Shopify variant carries the SKU of this TikTok product, or the TikTok product has no SKU."),
        _("Link the product to a variant. This order and all others that wait for it go on by themselves."),
        MAP_SKU,
        _("Not linked: {lines}."),
    ),
    Reason(
        "sku_conflict",
        _("Several variants have the same SKU"),
        _("More than one Shopify variant carries this SKU, so we cannot know which one was sold."),
        _("Choose the variant once, or give the variants different SKUs in Shopify and look again."),
        MAP_SKU,
        _("Found more than once: {lines}."),
    ),
    Reason(
        "bundle_unmapped",
        _("A bundle is not linked"),
        _(
            "TikTok sells this as a bundle of several products, and no Shopify variant is linked to the "
            "bundle."
        ),
        _("Link the bundle to the Shopify variant that stands for it."),
        MAP_SKU,
        _("Not linked: {lines}."),
    ),
    Reason(
        "no_lines",
        _("The order has no products"),
        _(
            "TikTok sent this order without a line that is still to be shipped, so there is nothing to put "
            "into Shopify."
        ),
        _("Open the order in TikTok Seller Center. If products show there, look again."),
        LOOK_AGAIN,
    ),
    Reason(
        "lines_incomplete",
        _("TikTok's lines cannot be told apart"),
        _("A line came without its id or without its product, so we cannot know which variant was sold."),
        _("Look again: TikTok's next answer may be whole. If it stays, ask TikTok's support."),
        LOOK_AGAIN,
    ),
    Reason(
        "amounts_mismatch",
        _("TikTok's amounts do not add up"),
        _("The order's own figures contradict each other. Importing it would book a wrong amount."),
        _("Compare the order in TikTok Seller Center and look again. If it stays, ask TikTok's support."),
        LOOK_AGAIN,
        _("TikTok states {stated} {currency}, the {what} add up to {added_up} {currency}."),
    ),
    Reason(
        "total_mismatch",
        _("Shopify's total differs from TikTok's"),
        _(
            "The draft order does not come to the amount TikTok states, often because an automatic discount,"
            " a tax or another app changed it. It is not completed until both agree."
        ),
        _("Find what changed the draft order in Shopify and undo it, then look again."),
        LOOK_AGAIN,
        _("Expected {expected} {currency}, Shopify has {shopify} {currency}."),
    ),
    Reason(
        "currency_not_enabled",
        _("The order's currency is not enabled"),
        _("Shopify cannot hold an order in a currency that the store does not sell in."),
        _("Add the currency in Shopify under Settings, Markets, then look again."),
        LOOK_AGAIN,
        _("The order is in {currency}."),
    ),
    Reason(
        "tiktok_ships",
        _("TikTok ships this order"),
        _(
            "The order is shipped by TikTok's own service or with a TikTok label, so TikTok hides the "
            "address and takes no tracking number from you. Completing it here would get it packed twice."
        ),
        _(
            "Nothing, if that is intended. To ship such orders yourself, change the shipping mode to Seller "
            "Shipping in TikTok Seller Center; orders that change are picked up when you look again."
        ),
        OPEN_TIKTOK,
    ),
    Reason(
        "address_masked",
        _("TikTok hides the address"),
        _(
            "The recipient is shown with stars although the order is ready to ship: TikTok means to ship it "
            "itself."
        ),
        _(
            "Check the order's shipping mode in TikTok Seller Center. If it is yours to ship, look again "
            "once the address is readable there."
        ),
        LOOK_AGAIN,
    ),
    Reason(
        "address_missing",
        _("TikTok gives no address"),
        _(
            "TikTok has released the order and does not say where it goes, so it cannot be shipped. We go on by "
            "ourselves when TikTok tells of a change."
        ),
        _(
            "Look in TikTok Seller Center whether the address is there, then look again; or complete it anyway "
            "and enter the address in Shopify. We write TikTok's over it once there is one."
        ),
        FINALIZE_ANYWAY,
    ),
    Reason(
        "destination_unsupported",
        _("The destination is outside TikTok Shop's area"),
        _(
            "TikTok Shop in the United States serves the 50 states and Washington, DC, not territories or "
            "other countries."
        ),
        _(
            "Check with TikTok that you may ship there, then complete it anyway, or cancel it in Seller "
            "Center."
        ),
        FINALIZE_ANYWAY,
        _("It goes to {destination}."),
    ),
    Reason(
        "unknown_status",
        _("TikTok reports a status we do not know"),
        _("TikTok may have added a status. Guessing what it means could ship a cancelled order."),
        _("See in TikTok Seller Center how the order stands and look again later."),
        LOOK_AGAIN,
        _("TikTok says: {status}."),
    ),
    Reason(
        "unknown_kind",
        _("TikTok reports a kind of order we do not know"),
        _(
            "TikTok may have added a kind of order. Its rules for payment and shipping may differ from "
            "ordinary orders."
        ),
        _("Check the order in TikTok Seller Center. If it is to be shipped like any other, import it."),
        IMPORT,
        _("TikTok says: {kind}."),
    ),
    Reason(
        "skipped_by_person",
        _("Kept out by you"),
        _("Somebody in your shop chose to keep this order out of Shopify. Its draft was deleted."),
        _("Fulfil it in TikTok's Seller Center, or import it after all."),
        IMPORT,
    ),
    Reason(
        "disconnected",
        _("The TikTok shop was disconnected"),
        _("The connection ended while the order was held, and its draft was deleted as you asked."),
        _("Fulfil it in TikTok's Seller Center, or connect the TikTok shop again and import it."),
        IMPORT,
    ),
    Reason(
        "kind_skipped",
        _("Orders of this kind are not imported"),
        _("Your settings keep this kind of order out of Shopify."),
        _("Import this one, or change the rule in the settings for all that come."),
        IMPORT,
        _("It is: {kinds}."),
    ),
    Reason(
        "older_than_connection",
        _("Placed before TikTok was connected"),
        _(
            "Older open orders may have been handled already, by hand or by another app. Importing them "
            "could ship twice."
        ),
        _("Preview the order and import it if nobody else has shipped it."),
        IMPORT,
    ),
    Reason(
        "other_connector",
        _("Another app imports TikTok orders"),
        _(
            "We found orders in Shopify that carry another connector's tag. Two apps at work would make "
            "every order twice."
        ),
        _("Switch off the other app's order import first, then confirm here that imports may go on."),
        GO_ON,
        _("{order} carries the tag {tag}."),
    ),
    Reason(
        "shipped_outside",
        _("Shipped outside this app"),
        _(
            "When we first saw this order it had been shipped already, so it does not need a Shopify order "
            "to be packed from."
        ),
        _("Nothing. Import it only if you want it in Shopify for your books."),
        IMPORT,
        _("TikTok says: {status}."),
    ),
    Reason(
        "order_not_found",
        _("TikTok no longer shows this order"),
        _(
            "TikTok answers that it has no such order in this shop. It may belong to a shop that was "
            "disconnected."
        ),
        _(
            "Search the order number in TikTok Seller Center. If it is there, reconnect the shop and look "
            "again."
        ),
        LOOK_AGAIN,
    ),
    # Cancellations
    Reason(
        "cancel_requested",
        _("The buyer asks to cancel"),
        _(
            "TikTok waits for your answer. Completing or shipping the order now could refuse the request "
            "without you."
        ),
        _("Accept or reject the request in TikTok Seller Center. The order goes on by itself after that."),
        OPEN_TIKTOK,
        _("Without an answer TikTok cancels the order on {answer_by}."),
    ),
    Reason(
        "cancel_requested_shipped",
        _("Shipped while the buyer asks to cancel"),
        _(
            "The order was fulfilled in Shopify, and a cancellation request or after-sale case is open in "
            "TikTok. Sending the tracking number rejects the buyer's request."
        ),
        _(
            "If the parcel is on its way, send the number anyway. Else answer the request in TikTok Seller "
            "Center first."
        ),
        SEND_ANYWAY,
    ),
    Reason(
        "cancelled_after_fulfilled",
        _("Cancelled in TikTok after it was fulfilled"),
        _(
            "Shopify cannot cancel an order that is fulfilled, so the Shopify order stands while TikTok has "
            "cancelled it."
        ),
        _(
            "Stop or call back the parcel. Then cancel the fulfillment and the order in Shopify and look "
            "again."
        ),
        OPEN_SHOPIFY,
    ),
    Reason(
        "cancelled_in_tiktok",
        _("Cancelled in TikTok: do not ship"),
        _("Your settings leave the cancellation of Shopify orders to you."),
        _("Cancel the order in Shopify and restock it, then look again."),
        OPEN_SHOPIFY,
    ),
    Reason(
        "cancellation_failed",
        _("Cancelled in TikTok, still open in Shopify: do not ship"),
        _("We told Shopify twice to cancel the order, and it still stands there."),
        _("Cancel the order in Shopify and restock it; look again to have us try once more."),
        OPEN_SHOPIFY,
        _("Shopify says: {words}"),
    ),
    Reason(
        "cancelled_out_of_reach",
        _("Cancelled in TikTok, too old for us to see in Shopify"),
        _(
            "Shopify shows this app no order that is older than 60 days, so we can neither cancel it nor see "
            "whether it still stands."
        ),
        _("Look at the order in Shopify. If it stands, stop it and cancel it there; then mark this as seen."),
        OPEN_SHOPIFY,
    ),
    Reason(
        "order_cancelled",
        _("TikTok cancelled this order"),
        _("A cancelled order takes no tracking number."),
        _("Stop or call back the parcel if you can, and cancel the fulfillment in Shopify."),
        OPEN_SHOPIFY,
    ),
    Reason(
        "lines_changed_after_finalize",
        _("TikTok changed the order after it was completed"),
        _(
            "Products, quantities or prices changed in TikTok, and Shopify's order is complete and does not "
            "follow."
        ),
        _("Edit the order in Shopify to match and leave out what was cancelled, then mark this as done."),
        OPEN_SHOPIFY,
        _("Changed: {changes}."),
    ),
    Reason(
        "address_changed_after_shipped",
        _("The address changed after shipping"),
        _("TikTok has a new address, and the Shopify order is fulfilled to the former one."),
        _(
            "Ask the carrier to redirect the parcel, or the buyer through TikTok whether the former address "
            "works."
        ),
        OPEN_TIKTOK,
    ),
    # What people did in Shopify
    Reason(
        "draft_edited",
        _("The draft order was edited"),
        _("Someone or another app changed the draft order, and its total is no longer what TikTok states."),
        _(
            "Undo the edit in Shopify and look again, or put the draft back: its products and prices become "
            "TikTok's again, your tags and note stay."
        ),
        RESTORE_DRAFT,
        _("Expected {expected} {currency}, Shopify has {shopify} {currency}."),
    ),
    Reason(
        "draft_taxed",
        _("The draft order charges tax"),
        _(
            "TikTok has collected the tax of its orders and pays it. With tax in the draft order too, your tax "
            "reports would count it twice."
        ),
        _(
            "Take the tax off the draft order in Shopify and look again, or put the draft back: it charges no "
            "tax then, your tags and note stay."
        ),
        RESTORE_DRAFT,
        _("Shopify has {tax} {currency} of tax in the draft order."),
    ),
    Reason(
        "draft_currency",
        _("The draft order is in another currency"),
        _("The buyer paid TikTok in one currency, and the draft order in Shopify is in another."),
        _(
            "Change the currency of the draft order in Shopify and look again, or put the draft back: it is in "
            "TikTok's currency then, your tags and note stay."
        ),
        RESTORE_DRAFT,
        _("Expected {expected} {expected_currency}, Shopify has {shopify} {currency}."),
    ),
    Reason(
        "draft_deleted",
        _("The draft order was deleted"),
        _("Someone or another app deleted it in Shopify. TikTok still expects the order to be shipped."),
        _("Import it once more, or cancel the order in TikTok Seller Center."),
        IMPORT,
    ),
    Reason(
        "draft_completed_by_hand",
        _("The draft order was completed by hand"),
        _(
            "It became an order in Shopify before TikTok released it. Until then the buyer can cancel at any"
            " time."
        ),
        _(
            "Do not ship it before TikTok's hold is over; we add the address then and tell you if it is "
            "cancelled."
        ),
        OPEN_SHOPIFY,
    ),
    Reason(
        "merchant_cancelled",
        _("Cancelled in Shopify, open in TikTok"),
        _("The Shopify order was cancelled here. TikTok does not know and still expects a parcel."),
        _("Cancel the order in TikTok Seller Center too, or ship it and enter the tracking number there."),
        OPEN_TIKTOK,
    ),
    Reason(
        "merchant_deleted",
        _("Deleted in Shopify, open in TikTok"),
        _("The Shopify order no longer exists. TikTok does not know and still expects a parcel."),
        _("Cancel the order in TikTok Seller Center too, or ship it and enter the tracking number there."),
        OPEN_TIKTOK,
    ),
    Reason(
        "merchant_refunded",
        _("Refunded in Shopify, open in TikTok"),
        _("A refund in Shopify pays nobody: the buyer's money is with TikTok, which still expects a parcel."),
        _("Cancel or refund the order in TikTok Seller Center too, or ship it."),
        OPEN_TIKTOK,
    ),
    # Shipping
    Reason(
        "shipped_elsewhere",
        _("Shipped in TikTok: do not ship again"),
        _("TikTok holds a tracking number that did not come from this store."),
        _("If the parcel is yours, fulfil the Shopify order with the same number. Else ask who shipped it."),
        OPEN_SHOPIFY,
        _("TikTok has: {parcels}."),
    ),
    Reason(
        "order_on_hold",
        _("TikTok holds the order"),
        _(
            "The order was fulfilled in Shopify while TikTok holds it. TikTok takes no tracking number until"
            " it is released."
        ),
        _("Nothing: the number is kept and sent as soon as TikTok releases the order."),
        LOOK_AGAIN,
    ),
    Reason(
        "carrier_unknown",
        _("We do not know this carrier"),
        _(
            "The name matches no carrier on TikTok's list for this order, and the number does not tell for "
            "sure."
        ),
        _("Choose the carrier once. It is remembered for this name."),
        MAP_CARRIER,
        _("Carrier: {company}. Number: {number}."),
    ),
    Reason(
        "carrier_not_supported",
        _("TikTok does not accept this carrier"),
        _(
            "TikTok's list for this order does not have it. TikTok cannot track such a parcel and would "
            "cancel the order as not shipped."
        ),
        _(
            "If another carrier delivers the last part, choose that one. Else ship with a carrier on "
            "TikTok's list."
        ),
        MAP_CARRIER,
        _("Carrier: {company}. Number: {number}."),
    ),
    Reason(
        "number_missing",
        _("No tracking number"),
        _("The order was fulfilled in Shopify without a tracking number. TikTok counts it as not shipped."),
        _("Add the number to the fulfillment in Shopify; it is sent by itself."),
        OPEN_SHOPIFY,
    ),
    Reason(
        "number_invalid",
        _("The tracking number is not valid"),
        _(
            "It has a wrong check digit, a wrong length or characters that TikTok refuses: most likely a "
            "typing error. TikTok allows a single correction, so it was not sent."
        ),
        _(
            "Correct the number in the fulfillment in Shopify, or send it anyway if it is what the label "
            "says."
        ),
        SEND_ANYWAY,
        _("Number: {number}. Carrier: {carrier}."),
    ),
    Reason(
        "number_mismatch",
        _("The number belongs to another carrier"),
        _(
            "The carrier on the fulfillment does not print numbers like this one. TikTok would not find the "
            "parcel."
        ),
        _("Correct the carrier in the fulfillment in Shopify, or send it anyway if both are right."),
        SEND_ANYWAY,
        _("Number: {number}. Carrier: {carrier}. It looks like: {belongs_to}."),
    ),
    Reason(
        "number_unlike_carrier",
        _("The number does not look like this carrier's"),
        _(
            "None of the numbers that this carrier is known to print has this form. It goes to TikTok as it is: "
            "carriers print more than they publish."
        ),
        _(
            "Compare it with the label. If it is wrong, correct it in the fulfillment in Shopify: one correction is "
            "possible, for 72 hours after shipping."
        ),
        OPEN_SHOPIFY,
        _("Number: {number}. Carrier: {carrier}."),
    ),
    Reason(
        "number_in_use",
        _("The number was sent for another order"),
        _(
            "TikTok accepts one number for several orders only when they go to the same person at the same "
            "address, or when TikTok combined them."
        ),
        _(
            "Correct the number in the fulfillment in Shopify, or send it anyway if the parcels travel "
            "together."
        ),
        SEND_ANYWAY,
        _("Used for: {orders}."),
    ),
    Reason(
        "several_numbers",
        _("Several numbers in one fulfillment"),
        _(
            "TikTok takes one number for a package. All units were sent with the first; this further number "
            "was kept."
        ),
        _(
            "Nothing, if the buyer can follow the first. Else split the fulfillment in Shopify, a number for"
            " each part."
        ),
        DISMISS,
    ),
    Reason(
        "too_few_units",
        _("More units fulfilled than TikTok expects"),
        _(
            "TikTok has fewer units of this product left to ship: some were cancelled or shipped with "
            "another number."
        ),
        _(
            "Compare the fulfillments in Shopify with the order in TikTok and cancel the surplus one: the other "
            "then goes by itself, or when you look again."
        ),
        LOOK_AGAIN,
    ),
    Reason(
        "foreign_line",
        _("The fulfillment holds a product that is not TikTok's"),
        _(
            "A product was added to the Shopify order. TikTok does not know it and cannot be told that it "
            "was shipped."
        ),
        _("Cancel this fulfillment and fulfil the added product separately, so that the rest can be sent."),
        OPEN_SHOPIFY,
    ),
    Reason(
        "tracking_refused",
        _("TikTok refused the tracking number"),
        _("TikTok gave the reason shown here. The number is kept and was not dropped."),
        _(
            "Correct the number or the carrier in the fulfillment in Shopify, or try again if TikTok was at "
            "fault."
        ),
        LOOK_AGAIN,
        _("TikTok says: {words}"),
    ),
    Reason(
        "tracking_warning",
        _("TikTok accepted the number with a warning"),
        _(
            "TikTok could not match it to the carrier. If no scan follows, TikTok may cancel the order as "
            "not shipped."
        ),
        _("Check number and carrier now: one correction is possible, for 72 hours after shipping."),
        OPEN_SHOPIFY,
        _("TikTok says: {words}"),
    ),
    Reason(
        "edit_limit",
        _("The one correction is used up"),
        _("TikTok lets a tracking number be corrected once only, and that has been done."),
        _("Ask TikTok's support to change the number, and tell them both."),
        OPEN_TIKTOK,
        _("TikTok has {standing}, Shopify has {number}."),
    ),
    Reason(
        "tracking_changed_too_late",
        _("Changed after TikTok's time for corrections"),
        _("TikTok takes a correction only within 72 hours of shipping. It keeps the former number."),
        _("Ask TikTok's support to change the number, and tell them both."),
        OPEN_TIKTOK,
        _("TikTok has {standing}, Shopify has {number}."),
    ),
    Reason(
        "fulfillment_cancelled",
        _("The fulfillment was cancelled after TikTok had the number"),
        _(
            "TikTok has accepted the tracking number and cannot take it back; the order counts as shipped "
            "there."
        ),
        _(
            "Fulfil again in Shopify with the right number: it replaces the former one within 72 hours. Else"
            " ask TikTok."
        ),
        OPEN_SHOPIFY,
    ),
    # Platforms
    Reason(
        "shopify_rejected",
        _("Shopify refused"),
        _("Shopify gave the reason shown here. Trying again unchanged would give the same answer."),
        _("Put right what Shopify names, then look again."),
        LOOK_AGAIN,
        _("Shopify says: {words}"),
    ),
    Reason(
        "tiktok_rejected",
        _("TikTok refused"),
        _("TikTok gave the reason shown here. Trying again unchanged would give the same answer."),
        _("Put right what TikTok names, then look again."),
        LOOK_AGAIN,
        _("TikTok says: {words}"),
    ),
    Reason(
        "unavailable_too_long",
        _("No answer for a day"),
        _("The platform did not answer for 24 hours, so the automatic tries have ended. Nothing is lost."),
        _("See on its status page whether it works again, then look again."),
        LOOK_AGAIN,
    ),
    Reason(
        "unexpected",
        _("Something went wrong in this app"),
        _("An error that we did not expect. It was reported and nothing was lost."),
        _("Look again. If it happens once more, send us the order number."),
        LOOK_AGAIN,
    ),
    Reason(
        "tiktok_access_lost",
        _("TikTok no longer lets us in"),
        _(
            "The permission for this TikTok shop was withdrawn or has expired, so its orders and tracking "
            "numbers wait."
        ),
        _("Connect the TikTok shop again. Everything that waited is caught up on without a gap."),
        RECONNECT_TIKTOK,
    ),
    Reason(
        "shopify_access_lost",
        _("Shopify no longer lets us in"),
        _("A permission is missing or the store is paused, so orders and tracking numbers wait."),
        _("Open the app in Shopify and approve its permissions. Everything that waited is caught up on."),
        RECONNECT_SHOPIFY,
    ),
    Reason(
        "connection_paused",
        _("The connection is paused"),
        _("While it is paused no order comes in and no tracking number goes out. They are kept."),
        _("Resume the connection. Everything that waited is caught up on without a gap."),
        SETTINGS,
    ),
    Reason(
        "uninstalled",
        _("The app was uninstalled"),
        _("Shopify took back our access when the app was removed from the store."),
        _("Install the app again and open it. Orders go on from where they stood."),
        RECONNECT_SHOPIFY,
    ),
)

REASONS: Mapping[str, Reason] = {row.code: row for row in ROWS}
