"""The table for a terminal, and the page docs/reliability.md out of the same figures."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from bench.chaos.judge import Figure
from bench.chaos.plan import Size

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
SHOWN = 12

HEAD = """# Reliability

Written on {day} by `python -m bench.chaos {words} --write`.
`make chaos` runs a small one on any machine with Python, `make chaos full` one of 10,000 orders.

The product's own processes (web, three workers, clock) run on a PostgreSQL and a Valkey of their own against the two
sandboxes over HTTP, which judge every request by the platforms' published contracts and keep a ledger of every effect.
Three Shopify shops are fed by a TikTok shop each; Shopify restores the points a second in each that the command names,
of which an order takes about 55 (a standard plan has 100, Plus 1,000). Meanwhile

- 20 % of all calls to either platform fail; a third of those after the platform has done what was asked;
- TikTok's and Shopify's events come one to five times and shuffled, and 5 % of them never;
- web, workers and clock are ended by SIGKILL at random moments, Valkey is killed once with all it held, and PostgreSQL
  goes through one crash recovery;
- one TikTok order in ten is cancelled within two seconds of the moment it is finalized.

A full run then plays five acts on the same system, each with a few hundred orders. Waits are shortened in these runs, a
pull comes every three seconds instead of every five minutes, so a time is told by the pulls that it holds.

- Poison: windows of the same load with and without 1 % of orders that always fail, while nothing else goes wrong.
- Blackout: no webhook of either platform for 24 pulls, as many as two hours hold.
- Storm: for a minute every call is answered by 429, by both platforms, then by Shopify alone.
- Grant: a seller takes TikTok's permission back, orders go on coming, and the consent is given anew.
- Drift: a merchant edits, deletes and completes held drafts and cancels orders, and no webhook tells of it.

When nothing moves any more, every event that ever came is made due again and answered anew, as often as the command
above says. Then the ledgers and our own tables are compared. Every figure of the first table has to be 0, or at most
what its line says; ratios of times are promised of runs of 5,000 orders or more.

"""

TAIL = """
On 2026-11-30 three runs of 10,000 orders ended with nothing but noughts among the promises, on a machine of two cores
with tests beside them: seeds 101, 202 and 303. TikTok cancelled 1,503, 1,533 and 1,525 orders, 1,054, 1,026 and 1,092
creates lost their answer, 32 processes were killed in each; of seeds 101 and 303 all events were answered again, 65,371
and 65,213. They played no act.

What else can go wrong, each with the test that shows the end of it. The one that enumerates deaths and the one that
draws interleavings have a longer mode; their files say how.

The one that enumerates deaths reads from the code which calls a worker's step can make, and prints its figures at the
end of a test run: 18 stories make all 43 of them. In its full mode a worker died at 1,023 moments of 17 stories: before
sending, after sending, at each write and commit that follows. Two ends differed at first and are mended, none does now.

The one that draws interleavings was tried on bugs planted for it: a draft made anew when the answer to its completion
was lost (found after 8 examples), a number sent to TikTok again (after 21), a line overlooked that TikTok cancelled in
the hold (after 6). Three more were at first not found within 56 to 71, and were after it had been sharpened for them: a
second draft after a lost create (after 4), a completion although the buyer's request to cancel had been read (after 4),
an older reading of a fulfillment over a newer one (after 64: it takes two workers and a change between them). Each
has a test of its own.

| Trouble | Test |
|---|---|
{tests}"""

# What can go wrong -> where it is shown.
SHOWN_BY = {
    "every order under faults and kills, small": ("test_chaos", "test_a_small_chaos_run_keeps_every_promise"),
    "death at every outside call": (
        "test_crash_matrix",
        "test_the_end_is_the_same_wherever_the_worker_dies_and_no_call_is_missing",
    ),
    "any interleaving, against a model": (
        "test_model",
        "test_whatever_happens_in_whatever_order_every_order_ends_in_its_one_right_place",
    ),
    "every event replayed twice, in small": (
        "test_recovery",
        "test_replaying_every_event_twice_writes_nothing_outside",
    ),
    "two hours without webhooks": ("test_disasters", "test_two_hours_without_a_webhook_lose_nothing"),
    "poisoned orders": (
        "test_disasters",
        "test_poisoned_orders_are_parked_with_their_reasons_and_cost_the_others_nothing",
    ),
    "back-pressure": (
        "test_disasters",
        "test_a_storm_of_429_is_waited_out_without_hammering_and_counts_as_no_failure",
    ),
    "a noisy neighbour": ("test_disasters", "test_a_noisy_shop_does_not_keep_its_neighbour_waiting"),
    "a cancel while finalizing": (
        "test_disasters",
        "test_a_cancel_within_two_seconds_of_finalize_never_leaves_a_live_order",
    ),
    "drift: a merchant's deeds without a webhook": (
        "test_disasters",
        "test_what_a_merchant_does_to_drafts_is_noticed_without_a_webhook_and_never_undone",
    ),
    "a reconnect after 24 hours": (
        "test_disasters",
        "test_a_grant_that_was_dead_for_a_day_is_renewed_and_everything_is_caught_up",
    ),
    "many workers on one order": (
        "test_recovery",
        "test_sixteen_workers_on_one_order_make_one_draft_and_one_completion",
    ),
    "Valkey emptied": ("test_recovery", "test_the_clock_finds_what_valkey_forgot"),
    "a dead Valkey or clock, and load balancers": (
        "test_status",
        "test_a_lost_valkey_and_a_silent_clock_take_no_web_host_out",
    ),
    "a Valkey that does not answer": ("test_status", "test_the_status_tells_that_valkey_is_dead"),
    "a clock that stands still": (
        "test_status",
        "test_the_status_tells_how_long_the_clock_has_been_silent",
    ),
    "pulls that stand still": ("test_status", "test_the_status_tells_how_old_the_oldest_pull_is"),
    "a deploy in the middle of work": (
        "test_turns",
        "test_a_worker_that_is_told_to_stop_hands_its_rows_back_and_goes",
    ),
    "a stop while a platform does not answer": (
        "test_turns",
        "test_a_worker_that_is_told_to_stop_does_not_wait_for_ever",
    ),
    "an upgrade under load": ("test_migrations", "test_no_migration_after_the_first_holds_a_large_table"),
    "differences that nobody told of": (
        "test_counterparts",
        "test_yesterday_is_compared_once_when_the_night_is_over_where_the_shop_is",
    ),
    "a night whose comparison came to nothing": (
        "test_counterparts",
        "test_a_comparison_that_came_to_nothing_is_tried_again_a_few_times_an_hour_apart",
    ),
    "a comparison that a person asks for": (
        "test_proof",
        "test_a_comparison_is_asked_for_once_and_the_page_follows_it",
    ),
    "an order that only a comparison finds": (
        "test_proof",
        "test_an_order_that_we_missed_is_found_and_taken_in",
    ),
    "an order in Shopify that its row does not name": (
        "test_counterparts",
        "test_an_order_that_shopify_has_and_its_row_does_not_name_is_brought_home",
    ),
    "a permission that was taken back": (
        "test_alerts",
        "test_a_lost_permission_is_told_once_and_again_only_when_it_is_lost_again",
    ),
    "rows that come to nothing, of any kind": (
        "test_alerts",
        "test_a_row_of_any_kind_that_comes_to_nothing_is_told_and_counted",
    ),
    "a tracking number that TikTok does not get": (
        "test_alerts",
        "test_a_number_that_gets_no_nearer_to_tiktok_is_told_before_the_deadline",
    ),
    "a deadline that nobody sees": (
        "test_alerts",
        "test_a_deadline_is_told_twelve_hours_before_and_four_hours_before_and_is_over_when_it_is_shipped",
    ),
    "a page that says other than its generator": (
        "test_chaos",
        "test_the_page_has_the_shape_that_the_generator_gives_it",
    ),
}


def table(figures: Iterable[Figure]) -> str:
    """One line a figure; what is wrong is named below it."""
    listed = list(figures)
    width = max(len(figure.name) for figure in listed)
    lines = []
    for figure in listed:
        mark = f"  <-- must be {figure.limit:g}{' at most' if figure.limit else ''}" if figure.broken else ""
        lines.append(f"{figure.name:<{width}}  {figure.value}{mark}")
        if figure.broken:
            lines += [f"    {words}" for words in figure.cases[:SHOWN]]
    return "\n".join(lines)


def page(figures: Iterable[Figure], *, size: Size, seed: int, day: date) -> str:
    listed = list(figures)
    promised = [(figure.name, str(figure.value)) for figure in listed if figure.promised]
    others = [(figure.name, value_of(figure)) for figure in listed if not figure.promised]
    return (
        HEAD.format(words=words_of(size, seed), day=day.isoformat())
        + markdown("Promise", promised)
        + "\n"
        + markdown("Circumstance", others)
        + TAIL.format(tests="".join(map(shown_by, SHOWN_BY)))
    )


def words_of(size: Size, seed: int) -> str:
    acts = ",".join(size.acts) if size.acts else "none"
    numbers = f"--orders {size.orders} --rate {size.rate:g} --points {size.points:g} --kills {size.kills}"
    return f"{size.name} {numbers} --acts {acts} --replays {size.replays} --seed {seed}"


def shown_by(trouble: str) -> str:
    file, name = SHOWN_BY[trouble]
    return f"| {trouble} | `tests/{file}.py`: `{name}` |\n"


def value_of(figure: Figure) -> str:
    return f"{figure.value} ({', '.join(figure.cases)})" if figure.cases else str(figure.value)


def markdown(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {title} | Figure |", "|---|---|"] + [f"| {name} | {value} |" for name, value in rows]
    return "\n".join(lines) + "\n"
