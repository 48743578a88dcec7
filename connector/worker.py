"""RQ's worker with what a job of ours does not need left out, and the turns of its shops seen home before it goes."""

import ctypes
import logging
import os
from time import monotonic
from typing import Any

from django.conf import settings
from django.utils import timezone
from rq import Queue
from rq.job import Job
from rq.worker import SimpleWorker, WorkerStatus

from connector.jobs import turns

log = logging.getLogger(__name__)

M_ARENA_MAX, ARENAS = -8, 2  # mallopt(3)
HEARTBEAT_SECONDS = 15  # RQ tells Valkey three times a job that it lives; it is believed for minutes
SUSPENSION_SECONDS = 1  # `rq suspend` is heard of so soon


class ShopWorker(SimpleWorker):
    """Runs jobs in its own process (a fork for each costs 20 ms) and keeps no books of them: a job is a doorbell,
    what has come of it stands in PostgreSQL. RQ's started, finished and failed registries cost 2 ms a job."""

    asked_for_suspension = float("-inf")

    def execute_job(self, job: Job, queue: Queue) -> None:
        self.set_state(WorkerStatus.BUSY)  # a request to stop waits until the job is done
        try:
            job.perform()
        except Exception:
            log.exception("a job broke; the sweep will find the work", extra={"job": job.func_name})

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Valkey hears that the worker is there, not of each job: it would be over before that is told."""
        if state in (WorkerStatus.BUSY, WorkerStatus.IDLE):
            self._state = state
        else:
            super().set_state(state, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        if burst or monotonic() - self.asked_for_suspension > SUSPENSION_SECONDS:
            self.asked_for_suspension = monotonic()
            super().check_for_suspension(burst)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        told = self.last_heartbeat
        if told and timeout is None and (timezone.now() - told).total_seconds() < HEARTBEAT_SECONDS:
            return
        super().heartbeat(timeout, pipeline)

    def request_stop(self, signum: Any, frame: Any) -> None:
        turns.stop()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ has no types there

    def work(self, *args: Any, **options: Any) -> bool:
        share_memory()
        try:
            return super().work(*args, **options)
        finally:
            turns.stop()
            if not turns.finish(settings.STOP_SECONDS):
                log.warning("a platform did not answer in time; the leases of its rows will lapse")
                logging.shutdown()
                os._exit(0)  # a thread that waits for an answer cannot be ended otherwise


def share_memory() -> None:
    """Let the threads share two heaps. By glibc's own choice each has one that it never gives back: a worker of twenty
    threads grew by 40 MB in 1,000 orders, and by 3 MB so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not there without glibc
    if mallopt:
        mallopt(M_ARENA_MAX, ARENAS)
