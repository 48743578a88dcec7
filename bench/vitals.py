"""What a merchant feels, measured by Chromium in the frame of the stand-in admin: LCP, CLS and INP of a page."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from playwright.sync_api import Browser, Frame, FrameLocator, Page

from bench.figures import Figure, Section, at_most

RUNS = 5
LCP_MS, CLS, INP_MS = 1000.0, 0.02, 100.0
SETTLED_MS = 1500  # Polaris is there, and the list has refreshed itself
WATCH = """
    window.vitals = { lcp: 0, cls: 0, inp: 0 };
    const watch = (type, see, more) => new PerformanceObserver((list) => list.getEntries().forEach(see))
        .observe({ type, buffered: true, ...more });
    watch("largest-contentful-paint", (entry) => { vitals.lcp = entry.startTime; });
    watch("layout-shift", (entry) => { if (!entry.hadRecentInput) vitals.cls += entry.value; });
    watch("event", (entry) => { if (entry.interactionId) vitals.inp = Math.max(vitals.inp, entry.duration); },
        { durationThreshold: 16 });
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A page, and what is done on it to see how soon it answers."""

    name: str
    path: str
    act: Callable[[FrameLocator], None]


def tick_and_type(app: FrameLocator) -> None:
    app.get_by_role("checkbox").first.click()
    app.get_by_role("searchbox").press_sequentially("1Z41")


def type_a_tag(app: FrameLocator) -> None:
    app.get_by_label("More tags").press_sequentially("social")


def open_details(app: FrameLocator) -> None:
    app.locator("summary").first.click()


def look_again(app: FrameLocator) -> None:
    app.get_by_role("button", name="Look again").first.click()


def measure(browser: Browser, address: Callable[[str], str], order_path: str) -> Section:
    visits = (
        Visit("home", "/", open_details),
        Visit("orders", "/orders", tick_and_type),
        Visit("order", order_path, look_again),
        Visit("settings", "/settings", type_a_tag),
    )
    figures: list[Figure] = []
    for visit in visits:
        found = [once(browser, address(visit.path), visit) for _ in range(RUNS)]
        figures += [
            at_most(f"{visit.name}: LCP", median(one["lcp"] for one in found), LCP_MS, " ms"),
            at_most(f"{visit.name}: CLS", round(median(one["cls"] for one in found), 4), CLS),
            at_most(f"{visit.name}: INP", median(one["inp"] for one in found), INP_MS, " ms"),
        ]
    return Section(
        "What a merchant feels", figures, (f"Medians of {RUNS} visits, each with an empty cache.",)
    )


def once(browser: Browser, address: str, visit: Visit) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(WATCH)
    page.goto(address)
    app = page.frame_locator("iframe")
    app.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(SETTLED_MS)
    visit.act(app)
    page.wait_for_timeout(SETTLED_MS)
    found: dict[str, float] = app_frame(page).evaluate("window.vitals")
    page.close()
    return found


def app_frame(page: Page) -> Frame:
    return next(frame for frame in page.frames if frame.parent_frame is not None)
