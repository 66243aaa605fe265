"""Trying again what failed for a reason that may pass: a bounded number of times, each one logged and counted."""

import asyncio
import errno
import logging
import random
import time
from collections.abc import Callable, Iterator

from robomix.errors import RemoteError
from robomix.remote.counts import counts

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try, drawn out or shortened by up to a quarter so that ranks do not come in step."""
_PASSING_STATUS = {408, 425, 429}
"""HTTP answers below 500 that ask to come again: time-out, too early, too many requests."""
_PASSING_ERRNO = {
    errno.EBUSY,
    errno.EREMOTEIO,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.EPIPE,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}
_PASSING_NAMES = {
    "ClientConnectionError",  # aiohttp: no connection, or one that broke
    "ClientPayloadError",  # aiohttp: the answer broke off
    "HTTPClientError",  # botocore: both, and time-outs
    "IncompleteReadError",  # botocore: the answer broke off
}


class ShortReadError(ConnectionError):
    """An answer with fewer bytes than were asked for."""


def persistently[T](what: str, job: Callable[[], T], passes: Callable[[BaseException], bool] | None = None) -> T:
    """What `job` returns, in the end; `what` names it in the log, such as `reading s3://bucket/set/a.mp4`.

    `passes` says after which errors another try is worth it; by default `may_pass`.
    Raises RemoteError when the last try failed too; an error that will not pass goes through at once.
    """
    for number, pause in enumerate((*PAUSES, None), start=1):
        try:
            return job()
        except Exception as error:  # networks fail in the classes of many libraries; `may_pass` tells them apart
            if not (passes or may_pass)(error):
                raise
            if pause is None:
                raise RemoteError(
                    f"{what} failed {number} times, the last time with: {told(error)}. "
                    "Is the network up, and the storage?"
                ) from error
            wait = pause * random.uniform(0.75, 1.25)
            counts.add(retries=1)
            log.warning("%s failed (%s); retry %d of %d in %.1f s", what, told(error), number, len(PAUSES), wait)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def may_pass(error: BaseException) -> bool:
    """Whether an error of a filesystem is of the kind that another try may not meet: time-outs, 5xx, resets."""
    for one in _chain(error):  # the outermost that tells; below it, the same may look like a faulty answer
        if _passes(one):
            return True
        if (status := _status(one)) is not None:
            return status >= 500 or status in _PASSING_STATUS
    return False


def told(error: BaseException) -> str:
    """An error on one line, by its class where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _passes(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError | asyncio.IncompleteReadError):
        return True
    if isinstance(error, OSError) and error.errno in _PASSING_ERRNO:
        return True
    return any(kind.__name__ in _PASSING_NAMES for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status an error tells: botocore keeps it in `response`, aiohttp in `status`, gcsfs in `code`."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status", None) or getattr(error, "code", None)
    return status if isinstance(status, int) and 400 <= status < 600 else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
