"""What does not exist, and what broke."""

from django.http import HttpRequest, HttpResponse

from connector.embedded import (
    dressed,
    hinted_shop,
    prepared,
    trouble,
)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    visit = prepared(request)
    return dressed(trouble(visit, 404), visit, hinted_shop(request))


def server_error(request: HttpRequest) -> HttpResponse:
    visit = prepared(request)
    return dressed(trouble(visit, 500), visit, hinted_shop(request))
