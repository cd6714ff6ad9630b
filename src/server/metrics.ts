import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../version.ts';
import type { Admission, Lane } from './render/admission.ts';
import type { TileStore } from './stores/tile-store.ts';

/**
 * Memory, processor, event loop, garbage collection: of the process, so one registry for all applications in it. The collectors cannot be removed, and
 * would keep every closed application in memory.
 */
let ofProcess: Registry | undefined;

/** The metrics of one application. Labels have few values: routes, lanes, stores; never ids. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'liif_http_requests_total',
    help: 'Requests answered, by kind of route and status.',
    labelNames: ['route', 'status'] as const,
    registers: [this.registry],
  });
  readonly duration = new Histogram({
    name: 'liif_http_request_duration_seconds',
    help: 'Time from the request to the end of the answer, by kind of route.',
    labelNames: ['route'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
    registers: [this.registry],
  });
  readonly stages = new Histogram({
    name: 'liif_stage_duration_seconds',
    help: 'Time of one stage of making an image: store, decode (plain images), queue, render, encode.',
    labelNames: ['stage'] as const,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10],
    registers: [this.registry],
  });
  readonly shed = new Counter({
    name: 'liif_shed_total',
    help: 'Requests turned away, by lane of admission; all: by the gate before it.',
    labelNames: ['lane', 'reason'] as const,
    registers: [this.registry],
  });
  readonly abandoned = new Counter({
    name: 'liif_abandoned_total',
    help: 'Requests whose client hung up before the answer.',
    registers: [this.registry],
  });
  readonly cache = new Counter({
    name: 'liif_cache_requests_total',
    help: 'Look-ups in the stores of finished images, by store and result.',
    labelNames: ['cache', 'result'] as const,
    registers: [this.registry],
  });
  readonly storeProblems = new Counter({
    name: 'liif_store_problems_total',
    help: 'Failures and corrupt entries of the stores of finished images.',
    labelNames: ['cache', 'kind'] as const,
    registers: [this.registry],
  });
  readonly replaced = new Counter({
    name: 'liif_engine_replacements_total',
    help: 'Engines that failed and were replaced.',
    registers: [this.registry],
  });
  readonly batches = new Histogram({
    name: 'liif_engine_batch_requests',
    help: 'Requests served by one call of the engine.',
    buckets: [1, 2, 4, 8, 16, 32],
    registers: [this.registry],
  });

  constructor() {
    new Gauge({
      name: 'liif_build_info',
      help: 'Always 1; labels say what runs.',
      labelNames: ['version', 'node'] as const,
      registers: [this.registry],
    }).set({ version: VERSION, node: process.version }, 1);
    if (ofProcess !== undefined) return;
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in the text format of Prometheus. */
  async text(): Promise<string> {
    const parts = await Promise.all([this.registry, ofProcess!].map((registry) => registry.metrics()));
    return parts.join('\n');
  }

  watchAdmission(admission: Admission): void {
    const lanes: readonly Lane[] = ['tile', 'region', 'decode', 'open'];
    const gauge = (name: string, help: string, read: (lane: Lane) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['lane'] as const,
        registers: [this.registry],
        collect() {
          for (const lane of lanes) this.set({ lane }, read(lane));
        },
      });
    gauge('liif_queue_running', 'Requests that run.', (lane) => admission.counts(lane).running);
    gauge('liif_queue_waiting', 'Requests that wait.', (lane) => admission.counts(lane).waiting);
    gauge(
      'liif_queue_pace',
      'Milliseconds that the lane takes for an estimated millisecond of work, by its throughput.',
      (lane) => admission.counts(lane).pace,
    );
  }

  watchCaches(
    caches: () => Readonly<
      Record<string, { readonly bytes: number; readonly hits: number; readonly misses: number }>
    >,
  ): void {
    new Gauge({
      name: 'liif_cache_bytes',
      help: 'Bytes kept in memory.',
      labelNames: ['cache'] as const,
      registers: [this.registry],
      collect() {
        for (const [cache, { bytes }] of Object.entries(caches())) this.set({ cache }, bytes);
      },
    });
    const counter = (name: string, help: string, member: 'hits' | 'misses') =>
      new Counter({
        name,
        help,
        labelNames: ['cache'] as const,
        registers: [this.registry],
        collect() {
          this.reset();
          for (const [cache, values] of Object.entries(caches())) this.inc({ cache }, values[member]);
        },
      });
    counter('liif_cache_hits_total', 'Look-ups in memory that found something.', 'hits');
    counter('liif_cache_misses_total', 'Look-ups in memory that found nothing.', 'misses');
  }

  watchStores(stores: readonly TileStore[]): void {
    new Gauge({
      name: 'liif_store_up',
      help: 'Whether a store of finished images works: 1 or 0.',
      labelNames: ['cache'] as const,
      registers: [this.registry],
      collect() {
        for (const { name, healthy } of stores) this.set({ cache: name }, healthy ? 1 : 0);
      },
    });
  }

  watchPictures(count: () => number): void {
    new Gauge({
      name: 'liif_pictures',
      help: 'Pictures in the catalog.',
      registers: [this.registry],
      collect() {
        this.set(count());
      },
    });
  }
}
