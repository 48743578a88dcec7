"""Where a worker's CPU time goes, by part: a run under the looker of sampled.py."""

import json
import signal
import sys
import time
from pathlib import Path

from bench.figures import Figure, Section, told
from bench.ground import Ground
from bench.life import Driver
from connector.launcher import stack

WRITE_SECONDS = 0.5
NOTE = (
    "Shares of one worker's CPU, by a sampler that books each thread's CPU clock to the frame it is in. It gets its "
    "turn when somebody waits, so that what stands just before a wait is somewhat over-counted."
)


def measure(ground: Ground, rate: float, count: int) -> Section:
    ground.stop_workers()
    file = ground.folder / "parts.json"
    ours = ["rqworker", "default", "--worker-class", "connector.worker.ShopWorker", "--verbosity", "0"]
    worker = ground.start("worker1", [sys.executable, "-m", "bench.sampled", str(file), *ours])
    ground.start("clock", stack.manage("clock"))
    time.sleep(4)
    Driver(ground, ground.stores[:1], seed=8).run(rate, 5)
    before = parts(worker.child, file)
    Driver(ground, ground.stores[:1], seed=9).run(rate, count)
    after = parts(worker.child, file)
    ground.stop_workers()
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    return Section("Our CPU by part (worker)", shares(spent), (NOTE,))


def parts(child, file: Path) -> dict[str, float]:  # type: ignore[no-untyped-def]
    child.send_signal(signal.SIGUSR1)
    time.sleep(WRITE_SECONDS)
    found: dict[str, float] = json.loads(file.read_text())["parts"]
    return found


def shares(spent: dict[str, float]) -> list[Figure]:
    whole = sum(spent.values()) or 1.0
    ordered = sorted(spent.items(), key=lambda one: -one[1])
    return [told(name, 100 * seconds / whole, " %") for name, seconds in ordered]
