"""Spans by OpenTelemetry: to Application Insights, to any collector that takes OTLP over HTTP, or nowhere.

Which is said by the variables that both worlds know: `APPLICATIONINSIGHTS_CONNECTION_STRING` of a function app, and
`OTEL_EXPORTER_OTLP_ENDPOINT` of OpenTelemetry. With neither, nothing of it is imported.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from azure.core.credentials import TokenCredential

from tidegate import traces
from tidegate.errors import TidegateError
from tidegate.ports import Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_DELAY_MS = 1000
"""Spans wait no longer: an instance may be taken away a moment after its last invocation."""


def spans(environ: Mapping[str, str], credential: TokenCredential) -> Spans:
    """What makes spans in this process. Telemetry that cannot be sent is lost, and holds nothing up."""
    if not environ.get(INSIGHTS) and not any(environ.get(name) for name in OTLP):
        return nowhere
    from azure.core.settings import settings as azure
    from opentelemetry import trace

    provider = _provider(environ, credential)
    trace.set_tracer_provider(provider)
    azure.tracing_implementation = "opentelemetry"  # calls of the SDKs become spans below ours
    return functools.partial(_span, provider.get_tracer("tidegate"))


def traceparent() -> str:
    """The span that is going on, as W3C Trace Context writes it; empty: there is none."""
    from opentelemetry import trace

    at = trace.get_current_span().get_span_context()
    return f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}" if at.is_valid else ""


@contextlib.contextmanager
def nowhere(_key: str, _name: str) -> Iterator[None]:
    """A span that nobody sees."""
    yield


def _provider(environ: Mapping[str, str], credential: TokenCredential) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": environ.get("WEBSITE_SITE_NAME") or "tidegate"})
    provider = TracerProvider(resource=resource)
    if environ.get(INSIGHTS):
        from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter

        insights: Any = AzureMonitorTraceExporter(
            connection_string=environ[INSIGHTS], credential=credential, disable_offline_storage=True
        )
        provider.add_span_processor(BatchSpanProcessor(insights, schedule_delay_millis=_DELAY_MS))
    if any(environ.get(name) for name in OTLP):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=_DELAY_MS))
    return provider


@contextlib.contextmanager
def _span(tracer: Tracer, key: str, name: str) -> Iterator[None]:
    """A refusal is the flow's to decide on, and no exception of the span; whatever else is raised is."""
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

    identity, parent = int(traces.trace_id(key), 16), int(traces.root_span_id(key), 16)
    root = SpanContext(identity, parent, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    context = trace.set_span_in_context(NonRecordingSpan(root))
    with tracer.start_as_current_span(
        name, context, attributes={"tidegate.key": key}, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except TidegateError as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
