"""What the model found, each as the smallest story that shows it."""

import time

from test_recovery import reconnect
from world import World

from connector.models import Connection
from connector.states import OrderState as State


def test_word_of_a_lost_grant_that_comes_after_the_new_grant_pauses_nothing(world: World):
    world.tiktok.webhooks.pause()
    world.tiktok.deauthorize()
    time.sleep(1.1)  # TikTok counts whole seconds
    reconnect(world)
    world.tiktok.webhooks.resume()
    world.settle()
    assert Connection.objects.get().paused_reason == ""
    assert world.placed().state == State.ON_HOLD
