"""What calls fail with: one class a reason of the server, all of them HeimdexErrors."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.protobuf.message import DecodeError

from ._proto import error_details_pb2, status_pb2

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(frozen=True)
class FieldViolation:
    """One field of the request that is wrong."""

    field: str
    description: str


class HeimdexError(Exception):
    """A call, or one item of a batch, that failed.

    message: what went wrong, in one sentence.
    code: the gRPC status by name, such as "INVALID_ARGUMENT".
    reason: the server's ErrorInfo.reason, such as "QUEUE_FULL", or this side's: UNREACHABLE, TIMEOUT, CLOSED,
    NO_TOKEN, MODEL_MISMATCH, MALFORMED_ANSWER, MESSAGE_TOO_LARGE, PROXY_TIMEOUT.
    violations: the fields of the request that are wrong.
    retry_after: seconds after which the server asks to be called again; None where it does not.
    method: the rpc, such as "EmbedText"; attempts: how often it was sent. None and 0 on an item of a batch.
    tls_problem: with UNREACHABLE, where encryption is why: TLS_REQUIRED, TLS_UNSUPPORTED, CERTIFICATE_UNTRUSTED,
    CERTIFICATE_NAME, CERTIFICATE_EXPIRED, CLIENT_CERTIFICATE_REQUIRED or CLIENT_CERTIFICATE_REFUSED; the message says what to do.
    """

    by_reason: ClassVar[dict[str, type[HeimdexError]]] = {}

    def __init_subclass__(cls, reason: str | None = None) -> None:
        if reason is not None:
            HeimdexError.by_reason[reason] = cls

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        method: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after
        self.method = method
        self.attempts = attempts
        self.tls_problem: str | None = None


class InvalidArgumentError(HeimdexError, reason="INVALID_ARGUMENT"):
    """The request is wrong: fix the field named in `violations`; do not retry unchanged."""


class AudioUnreadableError(InvalidArgumentError, reason="AUDIO_UNREADABLE"):
    """The audio is empty, damaged or of an unsupported format."""


class AudioTooLongError(InvalidArgumentError, reason="AUDIO_TOO_LONG"):
    """The audio is longer than limits.max_audio_seconds."""


class ImageUnreadableError(InvalidArgumentError, reason="IMAGE_UNREADABLE"):
    """The image is empty, damaged or of an unsupported format."""


class ImageTooLargeError(InvalidArgumentError, reason="IMAGE_TOO_LARGE"):
    """The image has more pixels than limits.max_image_pixels."""


class TextTooLongError(InvalidArgumentError, reason="TEXT_TOO_LONG"):
    """The text is longer than the model reads, and truncate is False."""


class LanguageUnsupportedError(InvalidArgumentError, reason="LANGUAGE_UNSUPPORTED"):
    """The model does not know the language."""


class TimestampsUnsupportedError(HeimdexError, reason="TIMESTAMPS_UNSUPPORTED"):
    """The model has no alignment heads, which word timestamps need."""


class FeatureDisabledError(HeimdexError, reason="FEATURE_DISABLED"):
    """The feature is switched off; the message names the variable that switches it on."""


class MessageTooLargeError(HeimdexError, reason="MESSAGE_TOO_LARGE"):
    """The request is larger than limits.max_message_bytes."""


class QueueFullError(HeimdexError, reason="QUEUE_FULL"):
    """Too much work is waiting; `retry_after` says when to come back."""


class UnavailableError(HeimdexError):
    """The server cannot take the call now."""


class StartingError(UnavailableError, reason="STARTING"):
    """The server is still loading its models."""


class DrainingError(UnavailableError, reason="DRAINING"):
    """The server is shutting down."""


class WorkerLostError(UnavailableError, reason="WORKER_LOST"):
    """The worker process died during the call."""


class WorkerLostTwiceError(WorkerLostError, reason="WORKER_LOST_TWICE"):
    """Two worker processes died on this item; it is not retried."""


class UnreachableError(UnavailableError, reason="UNREACHABLE"):
    """No connection to the server; `tls_problem` says whether encryption is why."""


class DeadlineExceededError(HeimdexError, reason="DEADLINE_EXCEEDED"):
    """The time limit passed, here or on the server."""


class CancelledError(HeimdexError, reason="CANCELLED"):
    """The call was cancelled."""


class ClientClosedError(HeimdexError, reason="CLOSED"):
    """The client was closed before or during the call."""


class NotFoundError(HeimdexError, reason="NOT_FOUND"):
    """Health does not know the name."""


class UnauthenticatedError(HeimdexError, reason="UNAUTHENTICATED"):
    """The server asks for a bearer token that it knows."""


class InternalError(HeimdexError, reason="INTERNAL"):
    """A fault of the server; its log has more under the id in the message."""


class ModelMismatchError(HeimdexError, reason="MODEL_MISMATCH"):
    """Parts of one batch were answered by different models, whose vectors cannot be compared."""


_BY_STATUS: dict[str, type[HeimdexError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "CANCELLED": CancelledError,
    "NOT_FOUND": NotFoundError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "INTERNAL": InternalError,
}


@dataclass(frozen=True)
class ItemError:
    """The item of a batch that failed: its index in the request, and why."""

    index: int
    error: HeimdexError

    def among(self, count: int) -> HeimdexError:
        """The error to raise for all items: of several, its message begins with the place of this one, such as "results[3]: "."""
        if count == 1:
            return self.error
        error = copy.copy(self.error)
        error.message = f"results[{self.index}]: {error.message}"
        error.args = (error.message,)
        return error


def make_error(
    status: status_pb2.Status, reason: str | None = None, method: str | None = None, attempts: int = 0
) -> HeimdexError:
    """The typed error of a google.rpc.Status. Its ErrorInfo wins over `reason`; details that cannot be read are left out."""
    violations: tuple[FieldViolation, ...] = ()
    retry_after: float | None = None
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        try:
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(request):
                violations = tuple(FieldViolation(v.field, v.description) for v in request.field_violations)
            elif detail.Unpack(retry):
                retry_after = max(0.0, retry.retry_delay.ToTimedelta().total_seconds())
        except (DecodeError, OverflowError, ValueError):
            continue
    code = _CODES.get(status.code, "UNKNOWN")
    kind = HeimdexError.by_reason.get(reason or "", _BY_STATUS.get(code, HeimdexError))
    return kind(
        status.message,
        code=code,
        reason=reason,
        violations=violations,
        retry_after=retry_after,
        method=method,
        attempts=attempts,
    )
