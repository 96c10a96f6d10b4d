"""What is written down: an allow-list of plain facts, never an address with its query or anything of a person."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from kernel.settings import Settings

ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "request", "method", "route", "path", "status", "ms", "error", "sweep",
        "job", "exception", "count", "seconds", "revision", "port", "url", "version", "pid", "reason", "what",
        "hospital", "key", "kind", "outcome", "tries",
    }
)  # fmt: skip
_OWN = frozenset({"_record", "_from_structlog"})  # structlog's, taken out again before anything is drawn
_NOISE = ("ASGI callable returned without completing response", "Exception in ASGI application")


def _allowed(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in event.items() if name in ALLOWED or name in _OWN}


class _KnownNoise(logging.Filter):
    """uvicorn complains about a stream we cut because its reader had stopped reading; that is counted elsewhere."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_NOISE[0])


def set_up(settings: Settings) -> None:
    """Configure structlog, and lead what libraries say into it from warnings on."""
    level = getattr(logging, settings.log_level.upper())
    draw: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        # Plain traces: the pretty ones print the values of variables, which may be somebody's.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _allowed,
    ]
    structlog.configure(
        processors=[*processors, draw],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=draw, foreign_pre_chain=processors))
    root = logging.getLogger()
    root.handlers, root.level = [handler], max(level, logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_KnownNoise())
