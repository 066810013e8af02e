/**
 * OpenTelemetry traces, off unless an endpoint is configured: one span per call, but none for health, with child spans for each
 * of its runs and the time in the queue before it. Continues the caller's trace (W3C `traceparent`). Spans are created from the
 * statistics of the ended call: without tracing there is no overhead, and no library is loaded.
 */
import type { Attributes, SpanStatusCode } from '@opentelemetry/api';
import type { Logger } from 'pino';
import type { EndedCall, Protocol } from '../transport/calls/call-tracker.js';
import { VERSION } from '../version.js';

export interface TracingOptions {
  /** Base address of an OTLP/HTTP collector: `http://collector:4318`. */
  readonly endpoint: string;
  readonly serviceName: string;
}

export interface Tracing {
  ended(call: EndedCall): void;
  /** Flushes the remaining spans, within a few seconds. */
  close(): Promise<void>;
}

const TRACES_PATH = '/v1/traces';
const CLOSE_TIMEOUT_MS = 3000;
const EXPORT_TIMEOUT_MS = 10_000;
/** Maximum queued spans while the collector does not answer; further spans are dropped. */
const MAX_QUEUED_SPANS = 4096;
/** Runs of a call that have spans: the windows of hours of audio would take the place of other calls' spans. */
const MAX_RUNS = 100;

/** Loads the libraries and creates the exporter. An unavailable collector is logged and never affects a call. */
export async function openTracing(options: TracingOptions, log: Logger): Promise<Tracing> {
  const api = await import('@opentelemetry/api');
  const { BasicTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { detectResources, envDetector, resourceFromAttributes } = await import('@opentelemetry/resources');
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  api.diag.setLogger({
    error: (report) => log.warn({ error: messageIn(report) }, 'traces could not be sent'),
    warn: (message) => log.debug({ tracing: message }, 'tracing'),
    info() {},
    debug() {},
    verbose() {},
  });
  const url = options.endpoint.replace(/\/+$/, '') + TRACES_PATH;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS });
  const own = { 'service.name': options.serviceName, 'service.version': VERSION };
  const provider = new BasicTracerProvider({
    // OTEL_RESOURCE_ATTRIBUTES, such as the pod, takes precedence.
    resource: resourceFromAttributes(own).merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: MAX_QUEUED_SPANS })],
  });
  const tracer = provider.getTracer('heimdex-inference', VERSION);
  const propagator = new W3CTraceContextPropagator();
  return {
    ended(call) {
      if (call.skipAccessLog) return;
      const { traceparent } = call;
      // With an invalid header, or none, the call starts a new trace.
      const root = propagator.extract(api.ROOT_CONTEXT, { traceparent }, api.defaultTextMapGetter);
      const span = tracer.startSpan(
        call.path,
        { kind: api.SpanKind.SERVER, startTime: call.startedAt, attributes: attributesOf(call) },
        root,
      );
      if (SERVER_ERRORS.has(call.code)) span.setStatus({ code: ERROR_STATUS, message: call.code });
      const inside = api.trace.setSpan(root, span);
      span.end(call.endedAt);
      // Both clocks are read here: since the end of the call, which `endedAt` has, milliseconds may have passed.
      const epochMs = Date.now() - performance.now();
      const runs = [...(call.stats.runs?.values() ?? [])].slice(0, MAX_RUNS);
      for (const { startedAtMs, queueMs, runMs, batchSize } of runs) {
        const startTime = epochMs + startedAtMs;
        tracer.startSpan('queue', { startTime: startTime - queueMs }, inside).end(startTime);
        const attributes = { 'heimdex.batch_size': batchSize };
        tracer.startSpan('run', { startTime, attributes }, inside).end(startTime + runMs);
      }
    },
    async close() {
      // The exporter tries again for longer, and says nothing meanwhile.
      const tooLate = new Promise((_resolve, reject) => {
        const reason = `the collector of OTEL_EXPORTER_OTLP_ENDPOINT did not take them within ${CLOSE_TIMEOUT_MS} ms`;
        setTimeout(() => reject(new Error(reason)), CLOSE_TIMEOUT_MS).unref();
      });
      await Promise.race([provider.shutdown(), tooLate]).catch((error: unknown) => {
        log.warn({ err: error }, 'traces were lost');
      });
    },
  };
}

/** The message of an error that the library reports as JSON, with its stack. */
function messageIn(report: string): string {
  try {
    const { message } = JSON.parse(report) as { readonly message?: unknown };
    return typeof message === 'string' ? message : report;
  } catch {
    return report;
  }
}

const ERROR_STATUS: SpanStatusCode.ERROR = 2;
/** A failed span of a server, by the semantic conventions for gRPC: not for mistakes of callers, cancelled calls and full queues. */
const SERVER_ERRORS = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

const RPC_SYSTEMS = {
  grpc: 'grpc',
  'grpc-web': 'grpc',
  connect: 'connect_rpc',
  openai: 'openai',
} as const satisfies Record<Protocol, string>;

/** Attribute names follow the semantic conventions for RPC. */
function attributesOf({ id, path, protocol, code, stats }: EndedCall): Attributes {
  const slash = path.lastIndexOf('/');
  return {
    'rpc.system': RPC_SYSTEMS[protocol],
    'rpc.service': path.slice(0, slash),
    'rpc.method': path.slice(slash + 1),
    'heimdex.call': id,
    'heimdex.status': code,
    ...(stats.items === undefined ? {} : { 'heimdex.items': stats.items }),
    ...(stats.batchSize === undefined ? {} : { 'heimdex.batch_size': stats.batchSize }),
  };
}
