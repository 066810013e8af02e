"""What both clients need of gRPC: addresses, credentials, metadata, methods, errors."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, get_args

import grpc
from google.protobuf.message import DecodeError, Message

from ._messages import plain
from ._proto import (
    embedding_pb2,
    faces_pb2,
    health_pb2,
    inference_service_pb2,
    server_info_pb2,
    speech_pb2,
    status_pb2,
)
from ._tls import check_files, tls_problem
from .answers import ServerInfo
from .errors import ClientClosedError, HeimdexError, UnauthenticatedError, make_error
from .options import DEFAULT_TIMEOUTS, PathLike, Priority, TlsOptions, time_limit
from .retry import DEFAULT_RETRY, Attempts, RetryBudget, RetryOptions

Token = str | Callable[[], str]
_NONE: Mapping[Any, Any] = MappingProxyType({})

_SERVICE = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name
_METHODS = [method.name for method in inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].methods]
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

RESPONSES: Mapping[str, Any] = {
    "Transcribe": speech_pb2.TranscribeResponse,
    "TranscribeStream": speech_pb2.TranscribeStreamResponse,
    "EmbedImage": embedding_pb2.EmbedImageResponse,
    "EmbedText": embedding_pb2.EmbedTextResponse,
    "DetectFaces": faces_pb2.DetectFacesResponse,
    "GetServerInfo": server_info_pb2.GetServerInfoResponse,
    "Check": health_pb2.HealthCheckResponse,
}

_CHANNEL_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),  # The server's limit counts; it says so in its error.
    ("grpc.enable_retries", 0),  # This client retries, within one budget.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),  # close() ends this client's connections and nobody else's.
    ("grpc.enable_http_proxy", 0),  # An inference server is near; a proxy for the web is not on the way.
]
# Calls go in turn to the servers that say they are healthy; one without the health service counts as healthy.
_ROUND_ROBIN = {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}


def _stubs(channel: Any) -> dict[str, Any]:
    """The channel's callables by rpc."""
    made: dict[str, Any] = {}
    for name, response in RESPONSES.items():
        path = f"/{_HEALTH if name == 'Check' else _SERVICE}/{name}"
        make = channel.stream_stream if name == "TranscribeStream" else channel.unary_unary
        made[name] = make(path, request_serializer=_serialize, response_deserializer=response.FromString)
    return made


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def health_name(given: str) -> str:
    """The name that health knows: "EmbedImage" is short for "heimdex.inference.v1.InferenceService/EmbedImage"."""
    return f"{_SERVICE}/{given}" if given in _METHODS else given


def _read(path: PathLike | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


_SCHEME = re.compile(r"(https?|dns|unix):(?:/{2,3})?(.*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:/\[\]]+))(?::(\d{1,5}))?")
_DEFAULT_PORT = 8001
# A proxy has given up waiting for the server: what gRPC says of nginx and HAProxy, and what Envoy says, the latter of an idle stream.
_PROXY_TIMEOUT = re.compile(r"Received http2 header with status: 504|upstream request timeout|stream timeout")
# What gRPC says of an answer that is not gRPC.
_HTTP_STATUS = re.compile(r"Received http2 header with status: (\d+)")
# What a header may be. gRPC's own error names neither the header nor the reason.
_NAME = re.compile(r"[0-9A-Za-z_.-]+")
_LINE = re.compile(r"[ -~]*")


def _is_line(value: object) -> bool:
    return isinstance(value, str) and _LINE.fullmatch(value) is not None


def _target(address: str) -> tuple[str, bool]:
    """gRPC's target of an address, and whether it asks for TLS.

    gRPC itself would use port 443 where none is given, and another port for one above 65535.
    """
    written = address.strip()
    found = _SCHEME.fullmatch(written)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", written)
    if scheme == "unix" and rest:
        return written, False
    parts = _HOST_AND_PORT.fullmatch(rest.removesuffix("/") if scheme.startswith("http") else rest)
    port = int(parts[3] or _DEFAULT_PORT) if parts else 0
    if parts is None or not 1 <= port <= 65_535 or scheme == "unix":
        expected = "localhost:8001, [::1]:8001, https://host:8001, dns:///name:8001 or unix:/path"
        raise ValueError(f"Expected an address such as {expected}, got {address!r}")
    host = f"[{parts[1]}]" if parts[1] else parts[2]
    return f"{'dns:///' if scheme == 'dns' else ''}{host}:{port}", scheme == "https"


def _target_of_several(addresses: Sequence[str]) -> tuple[str, bool]:
    """The same of several servers, which gRPC takes by IP addresses of one version."""
    made = [_target(address) for address in addresses]
    try:
        (version,) = {ip_address(target.rpartition(":")[0].strip("[]")).version for target, _ in made}
        (https,) = {https for _, https in made}
    except ValueError:
        expected = "several servers by their IP addresses, all of them IPv4 or IPv6, or one name for all: dns:///name:8001"
        raise ValueError(f"Expected {expected}, got {list(addresses)}") from None
    return f"ipv{version}:{','.join(target for target, _ in made)}", https


@dataclass
class Settings:
    """The settings of a client, and what its calls share."""

    address: str | Sequence[str]
    tls: bool | TlsOptions | None
    token: Token | None
    retry: RetryOptions
    timeouts: Mapping[str, float]
    headers: Mapping[str, str]
    priority: Priority | None

    def __post_init__(self) -> None:
        unknown = self.timeouts.keys() - DEFAULT_TIMEOUTS.keys()
        if unknown:
            raise ValueError(f"Expected timeouts for {', '.join(DEFAULT_TIMEOUTS)}, got {', '.join(sorted(unknown))}")
        self.target, https = _target(self.address) if isinstance(self.address, str) else _target_of_several(self.address)
        if https and self.tls is False:
            raise ValueError(f"{self.address} asks for TLS, and tls is False")
        self.secure = https if self.tls is None else self.tls is not False
        if self.priority not in (None, *get_args(Priority)):
            raise ValueError(f"Expected priority to be 'interactive' or 'bulk', got {self.priority!r}")
        for name, value in self.headers.items():
            if not isinstance(value, bytes) and not (_NAME.fullmatch(name) and _is_line(value)):
                expected = "a single line of plain text, and a name of letters, digits and dashes"
                raise ValueError(f"Invalid header {name}: expected {expected}")
        self.budget = RetryBudget(self.retry.max_attempts)
        self.info: ServerInfo | None = None  # Kept for its limits.
        self.closed = threading.Event()
        for method, seconds in self.timeouts.items():
            time_limit(f"timeouts[{method!r}]", seconds)

    def keep_info(self, response: server_info_pb2.GetServerInfoResponse) -> ServerInfo:
        self.info = plain(ServerInfo, response)
        return self.info

    def channel(self, kind: Any) -> Any:
        """A channel of grpc or grpc.aio."""
        options = list(_CHANNEL_OPTIONS)
        if self.target.startswith(("dns:", "ipv4:", "ipv6:")):
            options.append(("grpc.service_config", json.dumps(_ROUND_ROBIN)))
        if not self.secure:
            return kind.insecure_channel(self.target, options=options)
        tls = self._tls()
        contents = [_read(path) for path in (tls.ca_file, tls.key_file, tls.cert_file)]
        check_files(tls.ca_file, tls.cert_file, tls.key_file)
        credentials = grpc.ssl_channel_credentials(*contents)
        if tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        return kind.secure_channel(self.target, credentials, options=options)

    def metadata(self) -> list[tuple[str, str]]:
        """Of one attempt: a token that is a function is asked each time."""
        pairs = [(name.lower(), value) for name, value in self.headers.items()]
        if self.priority is not None:
            pairs.append(("x-heimdex-priority", self.priority))
        if self.token is not None:
            token = self.token if isinstance(self.token, str) else self.token()
            if not _is_line(token):
                message = "no token: it contains a line break or an invalid character"
                raise UnauthenticatedError(message, code="UNAUTHENTICATED", reason="NO_TOKEN")
            pairs.append(("authorization", f"Bearer {token}"))
        return pairs

    def timeout(self, method: str, given: float | None) -> float:
        return time_limit("timeout", self.timeouts.get(method, DEFAULT_TIMEOUTS[method]) if given is None else given)

    def info_timeout(self, end: float) -> float:
        """Of the question for the server's limits, which is part of a call that ends at `end`."""
        return max(0.0, min(self.timeout("GetServerInfo", None), end - time.monotonic()))

    def attempts(self, timeout: float | None) -> Attempts:
        return Attempts(self.retry, self.budget, timeout, self.priority == "bulk")

    def closed_error(self, method: str, attempts: int = 0) -> ClientClosedError:
        message = f"The client of {self.target} was closed"
        return ClientClosedError(message, code="UNAVAILABLE", reason="CLOSED", method=method, attempts=attempts)

    def error(self, failure: Any, method: str, attempts: int) -> HeimdexError:
        """The typed error of a grpc.RpcError; it is the error's cause. May take a second: see tls_problem."""
        code, details = failure.code(), failure.details() or ""
        if code is grpc.StatusCode.CANCELLED and self.closed.is_set():
            return self.closed_error(method, attempts)
        if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED):
            self.info = None  # Maybe the server came back with other limits.
        if details.startswith("Internal error from Core"):
            # A write of grpc.aio met the end of its call, whose true status is then lost.
            code, details = grpc.StatusCode.UNAVAILABLE, "the server ended the call while it was sent"
        packed = next((value for key, value in failure.trailing_metadata() or () if key == "grpc-status-details-bin"), b"")
        status = status_pb2.Status()
        try:
            status.ParseFromString(packed)
        except DecodeError:
            pass
        # The call's own code counts: a proxy may have changed it, or the server left it out here.
        status.code, status.message = code.value[0], status.message or details
        reason, problem = None, None
        if not packed:
            if code is grpc.StatusCode.UNAVAILABLE and details.startswith("failed to connect"):
                problem = tls_problem(details, self.target, self.secure, self._tls().cert_file is not None)
            status.message, reason = self._own_words(code, details if problem is None else problem[1], method)
        error = make_error(status, reason, method, attempts)
        error.tls_problem = None if problem is None else problem[0]
        error.__cause__ = failure
        return error

    def _tls(self) -> TlsOptions:
        return self.tls if isinstance(self.tls, TlsOptions) else TlsOptions()

    def _own_words(self, code: grpc.StatusCode, details: str, method: str) -> tuple[str, str | None]:
        """What this side says of a failure that the server did not explain."""
        if _PROXY_TIMEOUT.fullmatch(details):
            what = f"A proxy at {self.target} ended {method} at its own time limit"
            return f"{what} ({details}): raise that limit", "PROXY_TIMEOUT"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{method} got no answer from {self.target} in time", "TIMEOUT"
        if found := _HTTP_STATUS.match(details):
            who = "another program, or a proxy that refuses the call, cannot reach the server or does not pass on gRPC"
            return f"Expected gRPC from {self.target}, got HTTP status {found[1]}: {who}", None
        reset = code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL) and "Received RST_STREAM" in details
        # It ended without trailers, in the words of grpcio from 1.81 and of those before.
        cut = "END_STREAM flag received" in details or (code is grpc.StatusCode.UNKNOWN and details == "Stream removed")
        if reset or cut:
            who = "a proxy that limits the time of a call or does not pass on gRPC, or another program"
            return f"{self.target} ended the call without a status: {who}", None
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "RST_STREAM" in details:
            why = "its headers, the token among them, are too long, or a proxy limits its callers"
            return f"{self.target} refused the call as too much for it: {why}", None
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"{self.target} cannot be reached: {details}", "UNREACHABLE"
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
            return details, "MESSAGE_TOO_LARGE"
        return details, None


class Client:
    """What both clients are made of. They differ in how they wait; what they send and answer is in _messages and _batches."""

    _grpc: ClassVar[Any]
    """grpc or grpc.aio."""

    def __init__(
        self,
        address: str | Sequence[str] = "localhost:8001",
        *,
        tls: bool | TlsOptions | None = None,
        token: Token | None = None,
        retry: RetryOptions = DEFAULT_RETRY,
        timeouts: Mapping[str, float] = _NONE,
        headers: Mapping[str, str] = _NONE,
        priority: Priority | None = None,
    ) -> None:
        self._settings = Settings(address, tls, token, retry, timeouts, headers, priority)
        self._channel = self._settings.channel(self._grpc)
        self._stubs = _stubs(self._channel)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled: make one in each process")

    def _stub(self, method: str) -> Any:
        if self._settings.closed.is_set():
            raise self._settings.closed_error(method)
        return self._stubs[method]
