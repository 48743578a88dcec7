"""python -m bench.sampled FILE COMMAND...: a manage.py command, and where its CPU time went, as JSON in FILE.

A thread looks at every other thread some hundred times a second. What a thread's CPU clock has gained since the
last look is booked to the frames it is in now: waiting costs nothing, so threads that wait are not seen.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

LOOK_EVERY = 0.002
SWITCH_SECONDS = 0.0005  # how soon the looker gets its turn: else it comes only when somebody waits
DEEPEST = 60

# The first frame from the inside that fits names the part.
PARTS = (
    ("templates", ("/django/template/",)),
    ("JSON", ("/json/", "/orjson")),
    ("log lines", ("/logging/", "/structlog/", "connector/logs.py")),
    ("tokens (decryption)", ("/cryptography/",)),
    ("Valkey: budgets, wakes, RQ", ("/redis/", "/rq/", "/django_rq/")),
    ("ORM and PostgreSQL", ("/django/db/", "/psycopg/", "/psycopg_binary/")),
    (
        "HTTP to the platforms",
        ("/requests/", "/urllib3/", "/http/", "connector/transport.py", "/email/", "/idna/"),
    ),
    ("our own steps", ("/connector/", "/tiktok/", "/shopify_app/")),
)
OTHER = "the rest"


class Looker(threading.Thread):
    """Counts CPU seconds by part and by function until it is asked for them."""

    def __init__(self) -> None:
        super().__init__(name="looker", daemon=True)
        self.parts: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._clocks: dict[int, float] = {}

    def run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        tasks = {thread.ident: thread.native_id for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == self.ident or ident not in tasks:
                continue
            try:
                now = cpu_seconds(tasks[ident])
            except OSError:  # it has ended meanwhile
                continue
            gained = now - self._clocks.get(ident, 0.0)  # a thread that is new to us has all of it since
            self._clocks[ident] = now
            if gained > 0:
                self.book(gained, frame)

    def own_seconds(self) -> float:
        return time.clock_gettime(time.pthread_getcpuclockid(self.ident)) if self.ident else 0.0

    def book(self, seconds: float, frame: FrameType) -> None:
        self.parts[part_of(frame)] += seconds
        for name in {*names(frame)}:
            self.functions[name] += seconds


def cpu_seconds(task: int | None) -> float:
    """Of one thread. By its number, for the clock of a thread that has ended takes the process with it."""
    return int(Path(f"/proc/self/task/{task}/schedstat").read_bytes().split()[0]) / 1e9


def part_of(frame: FrameType | None) -> str:
    while frame is not None:
        file = frame.f_code.co_filename
        for part, places in PARTS:
            if any(place in file for place in places):
                return part
        frame = frame.f_back
    return OTHER


def names(frame: FrameType | None) -> list[str]:
    """Every function on the stack: what it costs with all that it calls."""
    found = []
    while frame is not None and len(found) < DEEPEST:
        code = frame.f_code
        found.append(f"{'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{code.co_qualname}")
        frame = frame.f_back
    return found


def main() -> None:
    file, command = Path(sys.argv[1]), sys.argv[2:]
    sys.setswitchinterval(SWITCH_SECONDS)
    looker = Looker()
    looker.start()

    def write(*_: object) -> None:
        found = {
            "parts": looker.parts,
            "looker": looker.own_seconds(),
            "functions": dict(looker.functions.most_common(400)),
        }
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(found))
        unfinished.rename(file)

    signal.signal(signal.SIGUSR1, write)
    write()  # says that we can be asked
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connector.settings")
    sys.argv = ["manage.py", *command]
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
