"""Where a worker's CPU time goes, by part: a run under the looker of sampled.py."""

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, Section, at_least, number, told
from bench.ground import SHOPS, Ground, Running
from bench.life import Driver
from connector.launcher import stack

LEAST_BOOKED = 90  # % of the CPU that the process used, or the parts say little
NOTE = (
    "One worker, by a sampler that books each thread's CPU clock to the frame it is in; the sampler's own CPU is left "
    "out. It gets its turn when somebody waits, so that what stands just before a wait is somewhat over-counted."
)
LIMIT = "Threads that end between two looks take their last milliseconds with them."


@dataclass(frozen=True, slots=True)
class Seconds:
    """CPU seconds so far: by part, of the looker itself, and of the whole process as the kernel counts it."""

    parts: dict[str, float]
    looker: float
    whole: float

    def since(self, before: "Seconds") -> "Seconds":
        parts = {name: seconds - before.parts.get(name, 0.0) for name, seconds in self.parts.items()}
        return Seconds(parts, self.looker - before.looker, self.whole - before.whole)


def measure(ground: Ground, rate: float, count: int) -> Section:
    ground.stop_workers()
    file = ground.folder / "parts.json"
    words = stack.worker_command()[2:]
    worker = ground.start("worker1", [sys.executable, "-m", "bench.sampled", str(file), *words])
    ground.start("clock", stack.manage("clock"))
    when_there(worker, file)
    stores = ground.stores[:SHOPS]
    Driver(ground, stores, seed=8).run(rate, 5)
    before = seconds(worker, file)
    Driver(ground, stores, seed=9).run(rate, count)
    spent = seconds(worker, file).since(before)
    ground.stop_workers()
    return Section(
        f"Our CPU by part, of one worker, {rate:g} orders a second", figures(spent, count), (NOTE,), LIMIT
    )


def seconds(worker: Running, file: Path) -> Seconds:
    file.unlink()
    whole = worker.cpu_seconds()
    worker.child.send_signal(signal.SIGUSR1)
    found = json.loads(when_there(worker, file))
    return Seconds(found["parts"], found["looker"], whole)


def when_there(worker: Running, file: Path) -> str:
    while not file.exists():
        if worker.child.poll() is not None:
            raise RuntimeError(f"the sampled worker ended; see {file.parent / 'worker1.log'}")
        time.sleep(0.02)
    return file.read_text()


def figures(spent: Seconds, orders: int) -> list[Figure]:
    booked, used = sum(spent.parts.values()), spent.whole - spent.looker
    ordered = sorted(spent.parts.items(), key=lambda one: -one[1])
    return [
        *(
            told(name, f"{100 * part / (booked or 1):.0f} %, {number(1000 * part / orders)} ms an order")
            for name, part in ordered
        ),
        at_least("booked to a part, of the CPU that it used", 100 * booked / (used or 1), LEAST_BOOKED, " %"),
    ]
