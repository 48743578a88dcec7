"""A doorbell as a job of RQ's: its id says whose it is, and nothing else of it is kept.

RQ writes every job down, reads it again when it is taken, and holds its id in a second list meanwhile. A doorbell
needs none of it: one that is lost is rung again by the sweep. So ringing it is one trip to Valkey, and answering it
one for the queue and one for the flag, where RQ's own books made it eleven.
"""

from collections.abc import Iterable
from typing import Any

from django_rq.queues import DjangoRQ
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job

NAME = "default"


class Doorbell(Job):
    """What RQ runs for a shop. The job's id is the shop's."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Job:
        if not id.isdecimal():
            raise NoSuchJobError(f"{id} is no shop")  # RQ passes over it
        whose = (int(id),)
        return cls.create("connector.jobs.begin", whose, connection=connection, id=id, origin=NAME)

    @classmethod
    def fetch_many(
        cls, job_ids: Iterable[str], connection: Redis, serializer: Any = None
    ) -> list[Job | None]:
        return [cls.fetch(id, connection, serializer) if id.isdecimal() else None for id in job_ids]


class Doorbells(DjangoRQ):
    """RQ's queue, from which a job is taken without a note in a second list."""

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> Any:
        return cls.lpop([queue_key], timeout, connection)
