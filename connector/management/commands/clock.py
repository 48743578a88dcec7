import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections

from connector import clock

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "The clock: finds what is due, starts pulls, keeps grants alive. Run one; two do no harm."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        while not stop.is_set():
            self.tick(stop.is_set)
            stop.wait(settings.SWEEP_SECONDS)

    def tick(self, told_to_stop: Callable[[], bool]) -> None:
        """PostgreSQL may be away for a while; the clock stays."""
        close_old_connections()
        try:
            clock.tick(told_to_stop)
        except (OperationalError, InterfaceError) as error:
            log.warning("the database does not answer", extra={"error": type(error).__name__})
        except Exception:
            log.exception("tick failed")
