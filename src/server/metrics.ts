import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../version.ts';
import type { Admission, Lane } from './render/admission.ts';
import type { TileStore } from './stores/tile-store.ts';

/**
 * Memory, processor, event loop, garbage collection: of the process, so one registry for all applications in
 * it. The collectors cannot be removed, and would keep every closed application in memory.
 */
let ofProcess: Registry | undefined;

const LANES: readonly Lane[] = ['tile', 'region', 'decode', 'open'];

interface CacheCounts {
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
}

/** The metrics of one application. Labels have few values: routes, lanes, stores; never ids. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = this.#counter(
    'liif_http_requests_total',
    'Requests answered, by kind of route and status.',
    'route',
    'status',
  );
  readonly duration = this.#histogram(
    'liif_http_request_duration_seconds',
    'Time from the request to the end of the answer, by kind of route.',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
    'route',
  );
  readonly stages = this.#histogram(
    'liif_stage_duration_seconds',
    'Time of one stage of making an image: store, decode (plain images), queue, render, encode.',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10],
    'stage',
  );
  readonly shed = this.#counter(
    'liif_shed_total',
    'Requests turned away, by lane of admission; all: by the gate before it.',
    'lane',
    'reason',
  );
  readonly abandoned = this.#counter(
    'liif_abandoned_total',
    'Requests whose client hung up before the answer.',
  );
  readonly cache = this.#counter(
    'liif_cache_requests_total',
    'Look-ups in the stores of finished images, by store and result.',
    'cache',
    'result',
  );
  readonly storeProblems = this.#counter(
    'liif_store_problems_total',
    'Failures and corrupt entries of the stores of finished images.',
    'cache',
    'kind',
  );
  readonly replaced = this.#counter(
    'liif_engine_replacements_total',
    'Engines that failed and were replaced.',
  );
  readonly batches = this.#histogram(
    'liif_engine_batch_requests',
    'Requests served by one call of the engine.',
    [1, 2, 4, 8, 16, 32],
  );

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
    const of = (member: 'running' | 'waiting' | 'pace') => () =>
      LANES.map((lane) => [lane, admission.counts(lane)[member]] as const);
    this.#watch('liif_queue_running', 'Requests that run.', 'lane', of('running'));
    this.#watch('liif_queue_waiting', 'Requests that wait.', 'lane', of('waiting'));
    this.#watch(
      'liif_queue_pace',
      'Milliseconds that the lane takes for an estimated millisecond of work, by its throughput.',
      'lane',
      of('pace'),
    );
  }

  watchCaches(caches: () => Readonly<Record<string, CacheCounts>>): void {
    const of = (member: keyof CacheCounts) => () =>
      Object.entries(caches()).map(([cache, counts]) => [cache, counts[member]] as const);
    this.#watch('liif_cache_bytes', 'Bytes kept in memory.', 'cache', of('bytes'));
    const counter = (name: string, help: string, read: ReturnType<typeof of>) =>
      new Counter({
        name,
        help,
        labelNames: ['cache'] as const,
        registers: [this.registry],
        collect() {
          this.reset();
          for (const [cache, value] of read()) this.inc({ cache }, value);
        },
      });
    counter('liif_cache_hits_total', 'Look-ups in memory that found something.', of('hits'));
    counter('liif_cache_misses_total', 'Look-ups in memory that found nothing.', of('misses'));
  }

  watchStores(stores: readonly TileStore[]): void {
    this.#watch('liif_store_up', 'Whether a store of finished images works: 1 or 0.', 'cache', () =>
      stores.map(({ name, healthy }) => [name, healthy ? 1 : 0] as const),
    );
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

  /** A gauge of a value for each lane, cache or store, which are read when somebody asks. */
  #watch(
    name: string,
    help: string,
    label: 'lane' | 'cache',
    read: () => Iterable<readonly [string, number]>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        for (const [of, value] of read()) this.set({ [label]: of }, value);
      },
    });
  }

  #counter<L extends string>(name: string, help: string, ...labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: readonly L[]
  ): Histogram<L> {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] });
  }
}
