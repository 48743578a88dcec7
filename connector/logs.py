"""Logging for every process: structured lines on stderr, and nothing personal or secret in them."""

import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("json", "console")

REMOVED = "[removed]"
PRIVATE_KEY = re.compile(
    r"token|secret|password|passwd|authorization|cookie|hmac|signature|cipher"
    r"|address|phone|e_?mail|^name$|(first|last|full|buyer|recipient|customer|nick|user)_?name|postal|^zip$|body|headers",
    re.IGNORECASE,
)
QUERY = re.compile(r"(?<=\S)\?[^\s'\"<>)\]]*=[^\s'\"<>)\]]*")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def build_logging(level: str, fmt: str) -> dict[str, Any]:
    """A dictConfig. `level` is one of LEVELS, `fmt` one of FORMATS. Both our own structlog
    lines and those of libraries pass the same processors."""
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_shared(), structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redact,
                    _renderer(fmt),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # At DEBUG they print URLs and headers, where TikTok puts secrets.
            "urllib3": {"level": "WARNING"},
            "requests": {"level": "WARNING"},
            "shopify": {"level": "WARNING"},
            "pyactiveresource": {"level": "WARNING"},
            "django.db.backends": {"level": "WARNING"},
            "rq": {"level": "WARNING"},
            "rq.worker": {"level": "WARNING"},
        },
    }


def redact(logger: WrappedLogger | None, method: str, event: EventDict) -> EventDict:
    """Last door before the output: drops values of private keys, query strings and e-mail addresses."""
    return {key: value if key == "level" else _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if key not in ("event", "logger", "timestamp") and PRIVATE_KEY.search(key):
        return REMOVED
    if isinstance(value, Mapping):
        return {inner: _clean(str(inner), part) for inner, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", part) for part in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return EMAIL.sub(REMOVED, QUERY.sub(f"?{REMOVED}", str(value)))


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderer(fmt: str) -> Processor:
    if fmt == "console":
        return structlog.dev.ConsoleRenderer(colors=False)
    return structlog.processors.JSONRenderer(default=str)
