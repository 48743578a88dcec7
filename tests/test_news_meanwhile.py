"""What wakes a row while a worker has it says why: that outlives what the worker writes when it hands the row back."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from test_model import in_a_thread, meanwhile  # noqa: F401  (a fixture)
from test_recovery import drain_as_a_worker
from world import World

from connector import choices, jobs
from connector.models import InboxEvent, Order, Parcel
from connector.states import OrderState as State
from connector.work import retry

UPS = "1Z410E7W0392751591"
REMOVED = [{"title": "Mug", "originalUnitPrice": "1.00", "quantity": 1}]


def and_the_event_is_answered(world: World, deed: Callable[[], object]) -> Callable[[], None]:
    def both() -> None:
        deed()
        assert world.shopify.webhooks.wait_until_quiet(5)
        in_a_thread(drain_as_a_worker, world.shop.pk)
        assert not InboxEvent.objects.filter(done_at=None).exists()

    return both


def drain_and(world: World, meanwhile, call: str, deed: Callable[[], object]) -> None:  # noqa: F811
    with meanwhile.the_next(call, deed):
        jobs.drain(world.shop.pk)
        assert meanwhile.deed is None
    world.settle()


def test_a_draft_that_is_edited_just_after_it_was_looked_at_is_looked_at_again(world, meanwhile):  # noqa: F811
    order = world.placed()
    world.after(5)  # an edit within the second of our own would be taken for it
    edit = and_the_event_is_answered(
        world, lambda: world.store.edit_draft(order.draft_gid, lineItems=REMOVED)
    )
    order.wake(draft_touched=True)
    drain_and(world, meanwhile, "draft_get", edit)
    assert world.order(order.tiktok_id).reason == "draft_edited"


def test_an_order_that_is_cancelled_just_after_it_was_looked_at_is_looked_at_again(world, meanwhile):  # noqa: F811
    order = world.finalized()
    cancel = and_the_event_is_answered(world, lambda: world.store.cancel_order(order.order_gid))
    order.wake(order_touched=True)
    drain_and(world, meanwhile, "order_get", cancel)
    assert world.order(order.tiktok_id).reason == "merchant_cancelled"


def test_fulfillments_are_read_again_for_a_person_who_asks_while_they_are_read(world, meanwhile):  # noqa: F811
    order = world.finalized()

    def fulfilled_unheard_and_asked_for() -> None:
        world.shopify.webhooks.drop(1)
        world.store.fulfill(order.order_gid, numbers=[UPS])
        choices.look_again(order, by="7")

    choices.look_again(order, by="7")
    drain_and(world, meanwhile, "order_fulfillments", fulfilled_unheard_and_asked_for)
    assert Parcel.objects.get(order=order).number == UPS


def test_a_person_who_asks_while_shopify_is_told_for_the_last_time_has_it_told_anew(world, meanwhile):  # noqa: F811
    order = world.finalized()
    world.shopify.settings.change(failing_cancellations=2)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    world.pass_time(65)
    assert world.order(order.tiktok_id).cancel_tries == 1
    drain_and(world, meanwhile, "order_cancel", lambda: choices.look_again(order, by="7"))
    world.after(65)
    assert world.order(order.tiktok_id).state == State.CANCELLED


def test_a_reason_that_is_marked_as_seen_while_another_is_over_stays_seen(world, meanwhile):  # noqa: F811
    id = world.finalized().tiktok_id
    world.tiktok.buyer_requests_cancel(id)
    world.settle()
    Order.objects.update(dismissed={"shipped_elsewhere": {}}, due_at=timezone.now())
    drain_and(world, meanwhile, "GET /order/202507/orders", lambda: choices.dismiss(world.order(id), by="7"))
    order = world.order(id)
    assert (list(order.dismissed), order.reason) == (["cancel_requested"], "")


def test_a_person_who_asks_while_a_try_fails_gives_it_a_new_day(world):
    order = world.placed()
    long_ago = timezone.now() - timedelta(hours=20)
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now(), failing_since=long_ago)
    [row] = Order.claim(world.shop.pk, 1)
    choices.look_again(order, by="7")
    retry(row, "away", None)
    assert world.order(order.tiktok_id).failing_since is None
