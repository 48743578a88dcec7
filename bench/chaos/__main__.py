"""python -m bench.chaos [quick|full] [--orders N] [--seed S] [--rate R] [--kills K] [--acts all|none|NAMES]
[--points P] [--replays N] [--write] [--keep-logs FOLDER]
"""

import argparse
import dataclasses
import secrets
import shutil
import sys
from pathlib import Path

from django.utils import timezone

from bench.chaos.plan import ACTS, FULL, QUICK, Size, draw
from bench.chaos.stage import staged
from connector.launcher.children import LauncherError
from connector.launcher.processes import Stopped

SIZES = {"quick": QUICK, "full": FULL}


def main() -> int:
    asked = arguments().parse_args()
    size = size_of(asked)
    print(f"chaos: {size.orders} orders, {size.kills} kills, seed {asked.seed}", flush=True)
    try:
        return run(size, asked.seed, write=asked.write, keep=asked.keep_logs)
    except LauncherError as error:
        print(error, file=sys.stderr)
        return 1
    except (Stopped, KeyboardInterrupt):
        return 130


def run(size: Size, seed: int, *, write: bool, keep: Path | None) -> int:
    with staged(size, seed) as stage:
        # Our models can be imported only now that the settings are known.
        from bench.chaos import report
        from bench.chaos.judge import judge
        from bench.chaos.run import Run

        story = Run(stage, size, seed, draw(size, seed), say=lambda words: print(words, flush=True))()
        figures = judge(stage, story)
        if keep:
            shutil.copytree(stage.folder, keep, ignore=shutil.ignore_patterns("data", "*.sock", ".s.*"))
        print(report.table(figures), flush=True)
        print(f"seed {seed}", flush=True)
        if write:
            text = report.page(figures, size=size, seed=seed, day=timezone.now().date())
            report.PAGE.write_text(text)
        return int(any(figure.broken for figure in figures))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("size", nargs="?", choices=SIZES, default="quick")
    parser.add_argument("--orders", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--rate", type=float, help="orders a second")
    parser.add_argument("--points", type=float, help="that Shopify restores a second in each shop")
    parser.add_argument("--acts", help=f"all, none, or some of {','.join(ACTS)}: after the main story")
    parser.add_argument("--replays", type=int, help="how often every event is answered again at the end")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    parser.add_argument("--keep-logs", type=Path, help="copy the programs' logs into a new folder")
    return parser


def size_of(asked: argparse.Namespace) -> Size:
    """A preset with what was asked for otherwise; kills go with the orders unless they are named."""
    size = SIZES[asked.size]
    changes = {
        name: getattr(asked, name) for name in ("orders", "kills", "rate", "points") if getattr(asked, name)
    }
    if "orders" in changes and "kills" not in changes:
        changes["kills"] = max(QUICK.kills, min(FULL.kills, changes["orders"] // 30))
    if asked.replays is not None:
        changes["replays"] = asked.replays
    if asked.acts:
        changes["acts"] = acts_of(asked.acts)
    changes["patience"] = max(size.patience, 0.5 * changes.get("orders", 0))
    return dataclasses.replace(size, **changes)


def acts_of(words: str) -> tuple[str, ...]:
    named = {"all": ACTS, "none": ()}.get(words, tuple(words.split(",")))
    if unknown := set(named) - set(ACTS):
        raise SystemExit(f"no such act: {', '.join(sorted(unknown))}; known are {', '.join(ACTS)}")
    return named


if __name__ == "__main__":
    sys.exit(main())
