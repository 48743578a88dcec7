"""How the platform says no: user errors inside a payload, and errors of the whole answer."""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError


class UserErrors(Exception):
    """A mutation's own refusal. Nothing was done."""

    def __init__(self, message: str, field: Sequence[str] | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.entries: list[dict[str, Any]] = [
            {"field": list(field) if field else None, "message": message, "code": code}
        ]


def refusal(code: str, message: str, **extensions: Any) -> GraphQLError:
    """An entry of the top-level `errors`, with Shopify's code."""
    return GraphQLError(message, extensions={"code": code, **extensions})


def access_denied(place: str, required: str) -> GraphQLError:
    return refusal(
        "ACCESS_DENIED",
        f"Access denied for {place} field. Required access: {required}",
        documentation="https://shopify.dev/api/usage/access-scopes",
        requiredAccess=required,
    )
