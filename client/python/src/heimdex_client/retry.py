"""When a failed call is sent again. Every rpc is a pure computation, so sending one twice is harmless."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from .errors import HeimdexError


@dataclass(frozen=True)
class RetryOptions:
    """How often a call is sent at most (1: no retries), except of a bulk call that waits for a full queue, and the back-off of
    this side's own choice, in seconds."""

    max_attempts: int = 5
    initial_delay: float = 0.2
    max_delay: float = 5.0


DEFAULT_RETRY = RetryOptions()

_RETRY_AFTER_SPREAD = 0.2  # Callers that were refused together must not come back together.
_MIN_BUDGET_TOKENS = 10.0
_BUDGET_REFILL = 0.1


def is_retryable(error: HeimdexError) -> bool:
    """UNAVAILABLE, but for an item that killed two workers, a closed client and a call that takes longer than a proxy waits;
    RESOURCE_EXHAUSTED with RetryInfo alone."""
    if error.code == "UNAVAILABLE":
        return error.reason not in ("WORKER_LOST_TWICE", "CLOSED", "PROXY_TIMEOUT")
    return error.code == "RESOURCE_EXHAUSTED" and error.retry_after is not None


class RetryBudget:
    """Bounds the load that retries add to a server in trouble, over all calls of a client (gRPC's retry throttling,
    proposal A6): a failure that could be retried takes a token of ten, a success gives a tenth back, and calls are retried
    only while more than half are left. With more than 5 attempts per call there are more tokens: one call may use all of its
    attempts."""

    def __init__(self, max_attempts: int) -> None:
        self._tokens = max(_MIN_BUDGET_TOKENS, 2.0 * max_attempts)
        self._taken = 0.0
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        with self._lock:
            self._taken = max(0.0, self._taken - _BUDGET_REFILL)

    def failed(self) -> bool:
        """Notes a failure that could be retried; True where it may be."""
        with self._lock:
            self._taken = min(self._tokens, self._taken + 1)
            return self._taken < self._tokens / 2


class Attempts:
    """The attempts of one call within one deadline."""

    def __init__(self, options: RetryOptions, budget: RetryBudget, timeout: float | None, bulk: bool = False) -> None:
        self._options = options
        self._budget = budget
        self._bulk = bulk
        self._begin = time.monotonic()
        self._deadline = None if timeout is None else self._begin + timeout
        self._failed: str | None = None
        self._refusals = 0  # By a full queue for whose room the call waits: no attempts.
        self.count = 0

    def start(self) -> float | None:
        """Begins the next attempt; the seconds it may take, None for no limit."""
        self.count += 1
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def succeeded(self) -> None:
        self._budget.succeeded()

    def delay(self, error: HeimdexError, longest: float | None = None) -> float:
        """Seconds to wait before the next attempt.

        Raises the error where the call must not be sent again: it is final, the attempts or the budget are used up, the
        deadline would pass before the next attempt, or the wait would take `longest`. A bulk call waits for room in a full
        queue however often it is refused: work that yields to other work does not fail for that.
        """
        if self._failed is not None and error.reason == "TIMEOUT":
            error.message += f", after an attempt that failed: {self._failed}"
            error.args = (error.message,)
        waits = self._bulk and error.reason == "QUEUE_FULL" and self._options.max_attempts > 1
        self._refusals += waits
        failures = self.count - self._refusals
        if not is_retryable(error):
            raise error
        if not waits and (not self._budget.failed() or failures >= self._options.max_attempts):
            raise error
        if error.retry_after is not None:
            delay = error.retry_after * (1 + _RETRY_AFTER_SPREAD * random.random())
        else:
            doublings = min(failures - 1, 64)  # 2**1024 does not fit into a float.
            delay = random.random() * min(self._options.max_delay, self._options.initial_delay * 2**doublings)
        if self._deadline is not None and time.monotonic() + delay >= self._deadline:
            raise error
        waited = time.monotonic() - self._begin if waits else 0
        if longest is not None and waited + delay >= longest:
            raise error
        self._failed = error.message
        return delay
