import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import shopify_app.errors
from connector import probe
from connector.transport import session
from shopify_app.models import Shop
from shopify_app.workbench import Workbench

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = (
        "Tries on a real store what was assumed about both platforms, and clears away what it made. "
        "Exits 0 when nothing differs. For a development store: it makes and cancels orders."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--shop", required=True, help="myshopify domain of a store that has the app")
        parser.add_argument("--only", nargs="+", choices=probe.CHOICES, default=probe.CHOICES)
        parser.add_argument(
            "--try-cap", action="store_true", help="experiment 15: complete six drafts within a minute"
        )
        parser.add_argument(
            "--reserve-seconds", type=float, default=60, help="experiment 9: how long stock is reserved"
        )
        parser.add_argument(
            "--patience",
            type=float,
            default=120,
            help="seconds to watch for what Shopify does in its own time",
        )
        parser.add_argument(
            "--yes-this-is-my-store", action="store_true", help="run although it is no development store"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        bench = self.bench(options)
        found: list[probe.Fact] = []
        interrupted = False
        with signals_restored():
            try:
                raise_on_signals()
                for fact in probe.facts(bench.shop, bench, options["only"]):
                    found.append(fact)
                    self.stdout.write(f"{fact.experiment}: {probe.verdict(fact)}")
            except KeyboardInterrupt:
                interrupted = True
            finally:
                ignore_signals()
                left = self.clear(bench)
        self.report(found, left, interrupted)

    def bench(self, options: dict[str, Any]) -> Workbench:
        """A workbench on the store, if it may be experimented with."""
        shop = Shop.objects.filter(domain=options["shop"]).first()
        if shop is None:
            raise CommandError(f"{options['shop']} is not known here: open the app in its admin once.")
        bench = Workbench(
            shop,
            session(),
            patience=options["patience"],
            reserve_seconds=options["reserve_seconds"],
            try_cap=options["try_cap"],
        )
        try:
            development = bench.here.development
        except shopify_app.errors.ShopifyError as error:
            raise CommandError(f"{shop.domain} does not let us in: {error.public}") from None
        if not development and not options["yes_this_is_my_store"]:
            raise CommandError(
                f"{shop.domain} is not a development store. The probe makes orders, cancels them and moves stock "
                "for minutes; if that may be, repeat with --yes-this-is-my-store."
            )
        return bench

    def clear(self, bench: Workbench) -> list[str]:
        self.stdout.write("clearing away what the probe made")
        left = bench.clear()
        for words in left:
            self.stderr.write(f"left behind: {words}")
        return left

    def report(self, found: list[probe.Fact], left: list[str], interrupted: bool) -> None:
        self.stdout.write("\n" + probe.table(found))
        different = sum(fact.holds is False for fact in found)
        if interrupted:
            raise CommandError("interrupted", returncode=130)
        if different or left:
            raise CommandError(f"{different} different, {len(left)} left behind")


@contextmanager
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_on_signals() -> None:
    for number in STOPS:
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    """Clearing away ends by itself; a second Ctrl-C must not leave orders behind."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
