"""The records that Microsoft's worker library builds and reads, as plain data: nothing is serialised inside one process.

The library is handed this module where its own host hands it generated protobuf classes; names and fields are those of the
public FunctionRpc protocol, as far as `azure-functions-runtime` uses them.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

type Duration = datetime.timedelta


_SameSite = enum.IntEnum("_SameSite", ["None", "Lax", "Strict", "ExplicitNone"], start=0)
_UNSET = _SameSite(0)


@dataclasses.dataclass(frozen=True, slots=True)
class RpcHttpCookie:
    SameSite: ClassVar = _SameSite

    name: str
    value: str
    domain: NullableString | None = None
    path: NullableString | None = None
    expires: NullableTimestamp | None = None
    secure: NullableBool | None = None
    http_only: NullableBool | None = None
    same_site: _SameSite = _UNSET
    max_age: NullableDouble | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NullableString:
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class NullableBool:
    value: bool


@dataclasses.dataclass(frozen=True, slots=True)
class NullableDouble:
    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class Timestamp:
    seconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class NullableTimestamp:
    value: Timestamp


@dataclasses.dataclass(frozen=True, slots=True)
class RpcHttp:
    method: str = ""
    url: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: TypedData | None = None
    status_code: str = ""
    cookies: Sequence[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class TypedData:
    """A union: exactly one field is set."""

    string: str | None = None
    json: str | None = None
    bytes: builtins.bytes | None = None
    http: RpcHttp | None = None
    int: builtins.int | None = None
    double: float | None = None

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name for it
        return next((name for name in self.__slots__ if getattr(self, name) is not None), None)


@dataclasses.dataclass(frozen=True, slots=True)
class ParameterBinding:
    name: str
    data: TypedData | None

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name for it
        return "data"


@dataclasses.dataclass(frozen=True, slots=True)
class RpcException:
    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1

    status: int
    exception: RpcException | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class BindingInfo:
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0

    type: str
    direction: int
    data_type: int | None = 0


@dataclasses.dataclass(frozen=True, slots=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: Duration | None = None
    minimum_interval: Duration | None = None
    maximum_interval: Duration | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    directory: str
    script_file: str
    entry_point: str
    language: str
    bindings: Mapping[str, BindingInfo]
    raw_bindings: Sequence[str]
    properties: Mapping[str, str]
    managed_dependency_enabled: bool = False
    is_proxy: bool = False
    retry_options: RpcRetryOptions | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionMetadataResponse:
    use_default_metadata_indexing: bool
    function_metadata_results: Sequence[RpcFunctionMetadata] | None
    result: StatusResult


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerInitRequest:
    function_app_directory: str
    capabilities: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerInitResponse:
    capabilities: Mapping[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclasses.dataclass(frozen=True, slots=True)
class RpcTraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InvocationRequest:
    invocation_id: str
    function_id: str
    input_data: Sequence[ParameterBinding]
    trigger_metadata: Mapping[str, TypedData]
    trace_context: RpcTraceContext
    retry_context: RetryContext


@dataclasses.dataclass(frozen=True, slots=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: Sequence[ParameterBinding] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class StreamingMessage:
    """The envelope: one of the requests is set."""

    worker_init_request: WorkerInitRequest | None = None
    invocation_request: InvocationRequest | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What the library's entry points take: an envelope, and these records as the `protos` to answer with."""

    request: StreamingMessage
    properties: Mapping[str, Any]
