"""While an answer is on its way: a test does something between a platform and the worker that waits for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from outside_calls import name_of
from requests.adapters import HTTPAdapter


class Meanwhile(HTTPAdapter):
    """Mounted on the product's own session; holds one answer back while a deed is done."""

    def __init__(self, inner: HTTPAdapter) -> None:
        super().__init__()
        self.inner = inner
        self.lock = threading.Lock()
        self.call = ""
        self.deed: Callable[[], Any] | None = None

    @contextmanager
    def the_next(self, call: str, deed: Callable[[], Any]) -> Iterator[None]:
        """The next answer to a call whose name begins so."""
        self.call, self.deed = call, deed
        try:
            yield
        finally:
            self.deed = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        answer = self.inner.send(request, *args, **kwargs)
        if deed := self.due(request):
            _ = answer.content  # read whole, for the call's own time goes on
            deed()
        return answer

    def due(self, request: requests.PreparedRequest) -> Callable[[], Any] | None:
        with self.lock:
            if self.deed is None or not name_of(request).startswith(self.call):
                return None
            deed, self.deed = self.deed, None
            return deed
