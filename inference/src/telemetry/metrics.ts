/** The Prometheus metrics at /metrics. docs/server.md lists the names; a test compares them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '../errors.js';
import { PRIORITIES, type Priority } from '../priority.js';
import type { QueueObserver } from '../scheduling/dispatcher.js';
import type { ServedModel } from '../services/engine.js';
import type { EndedCall } from '../transport/calls/call-tracker.js';
import type { TextAnswer } from '../transport/calls/send-text.js';
import type { Traffic } from '../transport/http/listener.js';

/** Name and help of each metric; Node.js's own metrics (`nodejs_*`, `process_*`) are added to them. */
export const METRICS = {
  heimdex_requests_total: 'Completed calls, by method, protocol and status code.',
  heimdex_defects_total: 'Calls with an error that has an id in the log, by method. Mistakes of callers are none.',
  heimdex_request_seconds: 'Duration of a call, by method.',
  heimdex_requests_in_progress: 'Calls in progress, without health calls.',
  heimdex_queue_items: 'Items waiting in the queue, by model and priority.',
  heimdex_queue_cost: "Cost of the items waiting in the queue, by model, in the family's unit.",
  heimdex_queue_seconds: 'Time of an item in the queue, by model and priority.',
  heimdex_run_seconds: 'Duration of a run in the worker, by model.',
  heimdex_batch_items: 'Items per run, by model.',
  heimdex_items_total: 'Items run, by model.',
  heimdex_item_errors_total: 'Items of answered calls that failed individually, by method and reason (an error code).',
  heimdex_refused_total:
    'Calls refused because a queue, or the memory for requests, was full, by reason, priority and (queue) model.',
  heimdex_workers_ready: 'Ready workers, by model.',
  heimdex_worker_restarts_total: 'Restarts of lost workers, by model.',
  heimdex_model_load_seconds: 'Time to load and warm up the model at start, by model.',
  heimdex_memory_bytes: 'Proportional set size, by process: the server, or the workers of a model.',
  heimdex_memory_limit_bytes: "Memory for the server and its workers: MEMORY_LIMIT_GB, or the machine's memory.",
  heimdex_received_bytes_total: 'Bytes received on all connections.',
  heimdex_sent_bytes_total: 'Bytes sent on all connections.',
  heimdex_connections: 'Open connections.',
  heimdex_certificate_expires_timestamp_seconds:
    'When the certificate in use expires, in seconds since 1970. Only with TLS.',
} as const;
type MetricName = keyof typeof METRICS;

const REQUEST_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64];

/** Common item errors by method, initialized to zero; other reasons appear when they occur. */
const USUAL_ITEM_ERRORS: Readonly<Record<string, readonly ErrorCode[]>> = {
  EmbedImage: ['IMAGE_UNREADABLE', 'IMAGE_TOO_LARGE'],
  EmbedText: ['TEXT_TOO_LONG'],
  DetectFaces: ['IMAGE_UNREADABLE', 'IMAGE_TOO_LARGE'],
};

/** Values read at each scrape. */
export interface MetricSources {
  readonly models: readonly WatchedModel[];
  requestsInProgress(): number;
  traffic(): Traffic;
  serverMemoryBytes(): Promise<number>;
  readonly memoryLimitBytes: number;
  /** When the certificate expires, in milliseconds since the epoch; undefined: no TLS. */
  readonly certificateExpiresAtMs: (() => number) | undefined;
}

export interface WatchedModel {
  readonly served: Pick<ServedModel, 'healthName' | 'modelQueue' | 'loadSeconds' | 'memoryBytes'>;
  /** Number of worker restarts. */
  restarts(): number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter(this.#metric('heimdex_requests_total', ['method', 'protocol', 'code']));
  readonly #defects = new Counter(this.#metric('heimdex_defects_total', ['method']));
  readonly #requestSeconds = this.#histogram('heimdex_request_seconds', ['method'], REQUEST_BUCKETS);
  readonly #queueSeconds = this.#histogram('heimdex_queue_seconds', ['model', 'priority'], REQUEST_BUCKETS);
  readonly #runSeconds = this.#histogram('heimdex_run_seconds', ['model'], REQUEST_BUCKETS);
  readonly #batchItems = this.#histogram('heimdex_batch_items', ['model'], BATCH_BUCKETS);
  readonly #items = new Counter(this.#metric('heimdex_items_total', ['model']));
  readonly #itemErrors = new Counter(this.#metric('heimdex_item_errors_total', ['method', 'reason']));
  readonly #refused = new Counter(this.#metric('heimdex_refused_total', ['model', 'priority', 'reason']));

  #reading: Promise<TextAnswer> | undefined;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    // Initialized before the first event: a rate needs a zero to start from.
    for (const [method, reasons] of Object.entries(USUAL_ITEM_ERRORS)) {
      for (const reason of reasons) this.#itemErrors.inc({ method, reason }, 0);
    }
    for (const priority of PRIORITIES) this.#refused.inc({ priority, reason: 'memory' }, 0);
  }

  /** Counts a call of any method, health included. */
  ended({ path, protocol, code, seconds, stats }: EndedCall): void {
    const method = path.slice(path.lastIndexOf('/') + 1);
    this.#requests.inc({ method, protocol, code });
    if (stats.errorId !== undefined) this.#defects.inc({ method });
    this.#requestSeconds.observe({ method }, seconds);
    // Methods and reasons are those of the contract: a few dozen combinations at most.
    for (const [reason, count] of Object.entries(stats.itemErrorReasons ?? {})) {
      this.#itemErrors.inc({ method, reason }, count);
    }
  }

  /** Counts a call refused for lack of memory. */
  refused(priority: Priority): void {
    this.#refused.inc({ priority, reason: 'memory' });
  }

  /** Returns the observer for a model's queue. */
  modelQueue(model: string): QueueObserver {
    // Initialized before the first event: a rate needs a zero to start from.
    this.#items.inc({ model }, 0);
    for (const priority of PRIORITIES) this.#refused.inc({ model, priority, reason: 'queue' }, 0);
    return {
      batch: ({ size, runMs }) => {
        this.#batchItems.observe({ model }, size);
        this.#items.inc({ model }, size);
        this.#runSeconds.observe({ model }, runMs / 1000);
      },
      queued: (queueMs, priority) => this.#queueSeconds.observe({ model, priority }, queueMs / 1000),
      refused: (priority) => this.#refused.inc({ model, priority, reason: 'queue' }),
    };
  }

  /** Adds the metrics read at each scrape. Call once. */
  watch(sources: MetricSources): void {
    const { models } = sources;
    const perModel = (name: MetricName, read: (served: WatchedModel['served']) => number) => {
      this.#gauge(name, ['model'], (gauge) => {
        for (const { served } of models) gauge.set({ model: served.healthName }, read(served));
      });
    };
    this.#gauge('heimdex_queue_items', ['model', 'priority'], (gauge) => {
      for (const { served } of models) {
        const { healthName: model, modelQueue } = served;
        for (const priority of PRIORITIES) gauge.set({ model, priority }, modelQueue.waitingOf(priority));
      }
    });
    perModel('heimdex_queue_cost', ({ modelQueue }) => modelQueue.waitingCost);
    perModel('heimdex_workers_ready', ({ modelQueue }) => modelQueue.workers);
    perModel('heimdex_model_load_seconds', ({ loadSeconds }) => loadSeconds);
    this.#collectedCounter('heimdex_worker_restarts_total', ['model'], (counter) => {
      for (const { served, restarts } of models) counter.inc({ model: served.healthName }, restarts());
    });
    this.#gauge('heimdex_requests_in_progress', [], (gauge) => gauge.set(sources.requestsInProgress()));
    this.#gauge('heimdex_connections', [], (gauge) => gauge.set(sources.traffic().connections));
    this.#collectedCounter('heimdex_received_bytes_total', [], (counter) => {
      counter.inc(sources.traffic().receivedBytes);
    });
    this.#collectedCounter('heimdex_sent_bytes_total', [], (counter) => counter.inc(sources.traffic().sentBytes));
    this.#gauge('heimdex_memory_limit_bytes', [], (gauge) => gauge.set(sources.memoryLimitBytes));
    const { certificateExpiresAtMs } = sources;
    if (certificateExpiresAtMs !== undefined) {
      this.#gauge('heimdex_certificate_expires_timestamp_seconds', [], (gauge) =>
        gauge.set(certificateExpiresAtMs() / 1000),
      );
    }
    this.#gauge('heimdex_memory_bytes', ['process'], async (gauge) => {
      gauge.set({ process: 'server' }, await sources.serverMemoryBytes());
      for (const { served } of models) gauge.set({ process: served.healthName }, await served.memoryBytes());
    });
  }

  /** Returns the metrics in Prometheus's text format. Those who ask meanwhile get the same: a reading takes milliseconds, and anyone may ask. */
  read(): Promise<TextAnswer> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<TextAnswer> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** What a metric of any kind is created with. */
  #metric<Label extends string>(name: MetricName, labelNames: readonly Label[]) {
    return { name, help: METRICS[name], labelNames, registers: [this.#registry] };
  }

  /** Creates a counter whose value is kept elsewhere: it is set at each scrape. */
  #collectedCounter<Label extends string>(
    name: MetricName,
    labelNames: readonly Label[],
    collect: (counter: Counter<Label>) => void,
  ): void {
    new Counter({
      ...this.#metric(name, labelNames),
      collect() {
        this.reset();
        collect(this);
      },
    });
  }

  #gauge<Label extends string>(
    name: MetricName,
    labelNames: readonly Label[],
    collect: (gauge: Gauge<Label>) => void | Promise<void>,
  ): void {
    new Gauge({
      ...this.#metric(name, labelNames),
      collect() {
        return collect(this);
      },
    });
  }

  #histogram<Label extends string>(name: MetricName, labelNames: readonly Label[], buckets: number[]) {
    return new Histogram({ ...this.#metric(name, labelNames), buckets });
  }
}
