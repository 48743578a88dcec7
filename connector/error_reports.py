"""Error reports to Sentry: what broke and where. No local variables, bodies, headers, queries or users."""

from typing import Any

import sentry_sdk

from connector.logs import redact

# Of a request only these: a query holds tokens and codes, a header the session token, an environment the address.
OF_A_REQUEST = ("method", "url")
NEVER = ("user", "server_name", "modules")


def start(dsn: str) -> None:
    sentry_sdk.init(
        dsn,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=scrub,
        before_breadcrumb=lambda crumb, hint: None,  # log lines and queries of what came before: not needed
    )


def scrub(event: Any, hint: Any) -> Any:
    """Last door before a report leaves: the same filter that log lines pass, over all that can hold words."""
    for name in NEVER:
        event.pop(name, None)
    if "request" in event:
        told = event["request"]
        event["request"] = {name: str(told[name]).partition("?")[0] for name in OF_A_REQUEST if name in told}
    for trace in event.get("exception", {}).get("values", []):
        trace["value"] = cleaned(trace.get("value"))
        for frame in trace.get("stacktrace", {}).get("frames", []):
            frame.pop("vars", None)
    for name in ("extra", "logentry", "message", "tags", "transaction"):
        if name in event:
            event[name] = cleaned(event[name])
    return event


def cleaned(value: Any) -> Any:
    return redact(None, "", {"event": value})["event"]
