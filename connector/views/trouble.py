"""What does not exist, and what broke."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from connector.embedded import (
    dressed,
    hinted_shop,
    prepared,
    trouble,
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    visit = prepared(request)
    return dressed(trouble(visit, 404), visit, hinted_shop(request))


def server_error(request: HttpRequest) -> HttpResponseBase:
    visit = prepared(request)
    return dressed(trouble(visit, 500), visit, hinted_shop(request))
