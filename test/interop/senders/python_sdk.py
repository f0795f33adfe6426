"""The OpenTelemetry Python SDK as a sender: the load of load.ts through its public API and its own exporters.

Arguments: protocol (grpc or http/protobuf), service name, base URL, start of the root span in nanoseconds.
Prints one JSON line with the ids it made; ends with 1 when an exporter did not succeed.
"""

import json
import sys

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

PROTOCOL, SERVICE, URL, BASE_NS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
MS = 1_000_000

EVERY_TYPE = {
    "text.plain": "grüße, 🦉",
    "text.empty": "",
    "number.int": 42,
    "number.int.zero": 0,
    "number.int.negative": -7,
    "number.int.large": 9007199254740991,
    "number.double": 2.5,
    "flag.true": True,
    "flag.false": False,
    "list.strings": ["a", "", "c"],
    "list.ints": [1, 2, 3],
    "list.doubles": [0.5, -1.25],
    "list.bools": [True, False],
    "map.nested": {"inner": "x", "deeper": {"n": 3}},
    "blob.bytes": b"\x00\x01\xfe\xff",
}

failures = []


def watched(exporter):
    """Notes every export that does not succeed: the batch processors only log it."""
    export = exporter.export

    def watching(*args, **kwargs):
        result = export(*args, **kwargs)
        if result.name != "SUCCESS":
            failures.append(f"{type(exporter).__module__}: {result}")
        return result

    exporter.export = watching
    return exporter


def exporters():
    if PROTOCOL == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return [make(endpoint=URL, insecure=True) for make in (OTLPSpanExporter, OTLPLogExporter, OTLPMetricExporter)]
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return [
        OTLPSpanExporter(endpoint=URL + "/v1/traces"),
        OTLPLogExporter(endpoint=URL + "/v1/logs"),
        OTLPMetricExporter(endpoint=URL + "/v1/metrics"),
    ]


def main():
    span_exporter, log_exporter, metric_exporter = map(watched, exporters())
    resource = Resource.create(
        {"service.name": SERVICE, "service.version": "1.2.3", "deployment.number": 7, "host.tags": ["a", "b"]}
    )

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    tracer = tracers.get_tracer("interop.scope", "0.9.1")
    root = tracer.start_span("GET /checkout", kind=SpanKind.SERVER, attributes=EVERY_TYPE, start_time=BASE_NS)
    in_root = trace.set_span_in_context(root)
    linked = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1))
    charge = tracer.start_span(
        "charge",
        context=in_root,
        kind=SpanKind.CLIENT,
        attributes={"peer.service": "bank"},
        links=[Link(linked, {"why": "cause"})],
        start_time=BASE_NS + 10 * MS,
    )
    charge.add_event("retry", {"attempt": 2, "reason": "timeout"}, timestamp=BASE_NS + 50 * MS)
    charge.set_status(Status(StatusCode.ERROR, "card declined"))
    charge.end(BASE_NS + 200 * MS)
    audit = tracer.start_span("audit", context=in_root, start_time=BASE_NS + 210 * MS)
    audit.set_status(Status(StatusCode.OK))
    audit.end(BASE_NS + 240 * MS)
    root.end(BASE_NS + 250 * MS + 1)

    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    logger = loggers.get_logger("interop.scope", "0.9.1")
    logger.emit(
        LogRecord(
            timestamp=BASE_NS + 5 * MS,
            context=in_root,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body="order accepted",
            attributes=EVERY_TYPE,
        )
    )
    logger.emit(
        LogRecord(
            timestamp=BASE_NS + 220 * MS,
            context=in_root,
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            body={"code": 51},
        )
    )

    meters = MeterProvider(
        resource=resource,
        metric_readers=[PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)],
        views=[
            View(instrument_name="interop.latency", aggregation=ExplicitBucketHistogramAggregation([5, 50, 500])),
            View(instrument_name="interop.size", aggregation=ExponentialBucketHistogramAggregation()),
        ],
    )
    meter = meters.get_meter("interop.scope", "0.9.1")
    requests = meter.create_counter("interop.requests", "{request}", "Requests.")
    requests.add(5, {"route": "/a"})
    requests.add(7, {"route": "/a"})
    requests.add(1, {"route": "/b"})
    cost = meter.create_counter("interop.cost", "EUR")
    cost.add(1.5)
    cost.add(0.25)
    meter.create_up_down_counter("interop.active").add(-3)
    meter.create_gauge("interop.temperature", "Cel").set(21.5)
    latency = meter.create_histogram("interop.latency", "ms")
    for ms in (1, 10, 100, 3000):
        latency.record(ms, {"route": "/a"})
    size = meter.create_histogram("interop.size", "By")
    for count in (1, 2, 4, 8):
        size.record(count)

    for provider in (tracers, loggers, meters):
        provider.shutdown()
    ids = {span.name: f"{span.get_span_context().span_id:016x}" for span in (root, charge, audit)}
    print(json.dumps({"traceId": f"{root.get_span_context().trace_id:032x}", "spanIds": ids}))
    if failures:
        sys.exit("\n".join(failures))


main()
