"""A flood of events of one shop, or of one kind, does not keep the others waiting. Counted, not timed."""

from collections import Counter

import django_rq
import pytest
from django.utils import timezone

from connector import clock, jobs, wake
from connector.models import InboxEvent, Order
from connector.states import OrderState as State
from shopify_app.models import Shop
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_disasters import take_turn
from tests.test_intake import a_bell, from_shopify, from_tiktok

pytestmark = pytest.mark.django_db(transaction=True)

DOMAIN = "intake.myshopify.com"


@pytest.fixture
def shop(transactional_db):
    return make_shop(domain=DOMAIN)


def flood(shop: Shop, n: int, topic: str = "carts/update", *, live: bool = True) -> None:
    now = timezone.now()
    InboxEvent.objects.bulk_create(
        InboxEvent(shop=shop, source="shopify", key=f"{shop.pk}-{i}", topic=topic, due_at=now, live=live)
        for i in range(n)
    )


def test_ten_thousand_events_of_one_shop_cost_another_no_more_than_a_turn(shop, settings):
    settings.DRAIN_TURN_SECONDS = 0  # one look a turn
    quiet = make_shop(domain="quiet.myshopify.com")
    flood(shop, 10_000)
    flood(quiet, 1)
    queue = django_rq.get_queue("default")
    queue.empty()
    for one in (shop, quiet):  # the loud one is first in the queue
        wake.lower(one.pk)
        wake.shop(one.pk)
    assert [take_turn(queue), take_turn(queue)] == [shop.pk, quiet.pk]
    assert InboxEvent.objects.get(shop=quiet).done_at
    assert InboxEvent.objects.filter(shop=shop, done_at=None).count() > 9_900
    assert [job.args for job in queue.jobs] == [(shop.pk,)]  # at the tail, once


def test_however_many_events_arrive_a_shop_waits_in_the_queue_once(shop):
    queue = django_rq.get_queue("default")
    queue.empty()
    flood(shop, 1000)
    for _ in range(20):
        clock.sweep()
        wake.shop(shop.pk)
    assert [job.args for job in queue.jobs] == [(shop.pk,)]


def test_an_event_of_tiktok_goes_before_a_thousand_product_events_of_shopify(shop):
    connect(shop, "7", "Fig & Fleece")
    flood(shop, 1000, "products/create", live=False)
    for n in range(3):
        name = f"w-{n}"
        from_shopify(b'{"id": 7}', X_Shopify_Topic="products/delete", X_Shopify_Webhook_Id=name)
    assert from_tiktok(a_bell()).status_code == 200
    assert set(InboxEvent.objects.filter(topic="products/delete").values_list("live")) == {(False,)}
    [first] = InboxEvent.claim(shop.pk, 1)
    assert (first.source, first.topic) == ("tiktok", "ORDER_STATUS_CHANGE")


def test_a_flood_of_events_leaves_every_fourth_place_to_orders_that_are_due(shop):
    connection = connect(shop, "7", "Fig & Fleece")
    flood(shop, 200)
    for n in range(20):
        plant(connection, str(5770 + n), State.ON_HOLD)
    Order.objects.update(due_at=timezone.now())
    taken = Counter(type(row).__name__ for number in range(40) for row in jobs.claim(shop.pk, 1, number))
    assert taken["InboxEvent"] >= 30
    assert taken["Order"] >= 5
