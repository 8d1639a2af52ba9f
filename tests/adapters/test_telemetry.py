"""Spans, as a collector gets them: one trace a record, whoever works on it."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, override

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from tests.contract.registries import SETTINGS
from tidegate.adapters.event_grid_topic import EventGridTopic
from tidegate.ports import Outcome
from tidegate.traces import root_span_id, trace_id

KEY = "image-promotion:training/litter@sha256:1#g"


class Collector:
    """Takes OTLP over HTTP and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    collector.spans += [span for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


_WORKER = f"""
import json, os, sys
from opentelemetry import trace
from tidegate.adapters.telemetry import spans, traceparent
from tidegate.errors import TransientError
span = spans(os.environ, None)
with span({KEY!r}, "StartImageTest"):
    print(traceparent())
for error in (TransientError("no answer"), KeyError("secret")):
    try:
        with span({KEY!r}, "ImportImage"):
            raise error
    except type(error):
        pass
print(traceparent() or "-")
trace.get_tracer_provider().shutdown() if hasattr(trace.get_tracer_provider(), "shutdown") else None
print(json.dumps(sorted(each for each in sys.modules if each.startswith("opentelemetry.sdk"))))
"""


def work(**environ: str) -> list[str]:
    """A worker of its own: OpenTelemetry's provider is one for the process. Gives what it printed."""
    done = subprocess.run([sys.executable, "-c", _WORKER], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_two_workers_of_one_record_write_one_trace(collector: Collector) -> None:
    first, second = (work(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) for _ in range(2))
    assert {span.trace_id.hex() for span in collector.spans} == {trace_id(KEY)}
    assert {span.parent_span_id.hex() for span in collector.spans} == {root_span_id(KEY)}
    assert [span.name for span in collector.spans] == ["StartImageTest", "ImportImage", "ImportImage"] * 2
    assert first[0].split("-")[1] == second[0].split("-")[1] == trace_id(KEY)
    assert first[0].split("-")[2] == collector.spans[0].span_id.hex()
    assert first[1] == "-", "no span is going on afterwards"


def test_an_error_that_a_flow_decides_on_is_a_status_and_any_other_is_an_exception(collector: Collector) -> None:
    work(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    good, refused, broken = collector.spans
    assert (good.status.code, refused.status.message, broken.status.message) == (0, "no answer", "KeyError")
    assert [len(span.events) for span in (good, refused, broken)] == [0, 0, 1]
    assert {attribute.key: attribute.value.string_value for attribute in good.attributes} == {"tidegate.key": KEY}


def test_without_a_collector_nothing_of_the_sdk_is_loaded() -> None:
    printed = work()
    assert printed[:2] == ["", "-"]
    assert json.loads(printed[2]) == []


def test_a_collector_that_is_gone_holds_nothing_up(collector: Collector) -> None:
    collector.server.server_close()
    assert work(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")[0]


def test_an_outcome_says_which_trace_it_belongs_to() -> None:
    topic = EventGridTopic(dataclasses.replace(SETTINGS, outcomes_endpoint=""), None)  # type: ignore[arg-type]  # nothing is sent
    outcome = Outcome("1", "Tidegate.ImagePromoted", "x", datetime.datetime.now(datetime.UTC), ())
    assert "traceparent" not in topic._cloud_event(outcome)
    at = SpanContext(int(trace_id(KEY), 16), 7, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use_span(NonRecordingSpan(at)):
        assert topic._cloud_event(outcome)["traceparent"] == f"00-{trace_id(KEY)}-0000000000000007-01"


def test_records_have_traces_of_their_own() -> None:
    ids = {trace_id(f"{KEY}{number}") for number in range(100)}
    assert len(ids) == 100
    assert all(int(each, 16) for each in ids)
