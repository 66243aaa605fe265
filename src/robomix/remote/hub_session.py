"""How robomix speaks to the Hub through huggingface_hub: bounded waits, and its log in ours."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory

from robomix.remote.counts import counts

_IS_RETRY = re.compile(r"\[Retry \d|resume download|Retrying\.\.")
_ASKED_AGAIN = "No local file found. Retrying"
"""How the library tells, and not as a warning, that it asks about a file a second time."""
_WAITS = ("connect", "read", "write", "pool")
"""What a request of httpx can have a time-out for; None, which the library asks for in places, is none."""

log = logging.getLogger(__name__)


def hub_api() -> HfApi:
    """The Hub that HF_ENDPOINT names at this moment, asked as the user whose token huggingface_hub finds."""
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/"))


@contextmanager
def speaking(purpose: str, *, timeout: float | None = None) -> Iterator[None]:
    """In the block, what huggingface_hub warns of is shown in robomix's log after `purpose`, and its retries counted.

    With a `timeout`, in seconds, no answer is waited for longer; the library itself waits for some for ever.
    """
    logger, handler = logging.getLogger("huggingface_hub"), _Forwarded(purpose)
    handlers, level = logger.handlers, logger.level
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    if timeout is not None:
        set_client_factory(lambda: _bounded(timeout))
    try:
        yield
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
        if timeout is not None:
            set_client_factory(default_client_factory)


def _bounded(timeout: float) -> httpx.Client:
    client = default_client_factory()

    def bound(request: httpx.Request) -> None:
        waits = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {kind: waits.get(kind) or timeout for kind in _WAITS}

    hooks = client.event_hooks
    client.event_hooks = hooks | {"request": [*hooks["request"], bound]}
    return client


class _Forwarded(logging.Handler):
    """Takes the place of the library's own, so that its retries stand in the log with all others."""

    def __init__(self, purpose: str) -> None:
        super().__init__(logging.INFO)
        self._purpose = purpose

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        is_retry = _IS_RETRY.search(text) is not None
        if is_retry:
            counts.add(retries=1)
        if text.startswith(_ASKED_AGAIN):
            text = "a request about a file failed; retry"
        if is_retry or record.levelno >= logging.WARNING:
            log.warning("%s: %s", self._purpose, text)


def may_pass(error: BaseException) -> bool:
    """Whether asking again may help: after a broken connection, no answer in time, and an error of the server."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return isinstance(error, httpx.TransportError)


def file_may_arrive(error: BaseException) -> bool:
    """The same for files, for which the library has tried again already after all but these two."""
    if isinstance(error, HfHubHTTPError):
        return may_pass(error)
    return isinstance(error, OSError) and "Consistency check failed" in str(error)
