import { randomUUID } from 'node:crypto';
import { onAbort } from '../../../on-abort.ts';
import { notFound, Problem, problemDocument } from '../../problem.ts';
import type { ImageInfo } from '../answer/image-info.ts';
import type { Exchange } from '../exchange.ts';

/** A job as clients see it. */
export interface JobState {
  readonly job: string;
  /** Id that the picture will have. */
  readonly id: string;
  readonly state: 'queued' | 'running' | 'done' | 'failed';
  /** 0 .. 1 */
  readonly progress: number;
  readonly image?: ImageInfo;
  readonly problem?: Record<string, unknown>;
}

/** Jobs that are remembered after their end. */
const MAX_REMEMBERED = 200;

/** An uploaded image on its way to a picture. */
export class Job {
  /** Aborted when the picture is not wanted any more, or the server stops. */
  readonly stop = new AbortController();
  /** The file is getting its name, and it is too late to stop. */
  kept = false;
  #state: JobState;
  readonly #changed = new Set<() => void>();

  constructor(id: string) {
    this.#state = { job: randomUUID(), id, state: 'queued', progress: 0 };
  }

  get state(): JobState {
    return this.#state;
  }

  get ended(): boolean {
    return this.#state.state === 'done' || this.#state.state === 'failed';
  }

  tell(change: Partial<JobState>): void {
    this.#state = { ...this.#state, ...change };
    for (const send of [...this.#changed]) send();
  }

  /** Takes progress from 0 to 1, and tells it by the hundredth. */
  progress(): (progress: number) => void {
    let told = 0;
    return (progress) => {
      if (progress < told + 0.01) return;
      told = progress;
      this.tell({ progress });
    };
  }

  /** Throws Problem 409 where the picture is there already. */
  cancel(): void {
    if (this.kept) throw new Problem(409, 'done', 'The picture is there already.');
    const canceled = new Problem(409, 'canceled', 'The picture was not wanted any more.');
    this.stop.abort(canceled);
    // A waiting job fails now, not when its turn comes.
    if (this.#state.state === 'queued') this.tell({ state: 'failed', problem: problemDocument(canceled) });
  }

  /** Answers with the state, or with a stream of states as they change. */
  async report({ request, response, signal }: Exchange): Promise<void> {
    response.set('Cache-Control', 'no-store');
    if (!request.headers.accept?.includes('text/event-stream') || request.method === 'HEAD') {
      response.json(this.#state);
      return;
    }
    signal.throwIfAborted();
    response.set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' });
    await new Promise<void>((resolve) => {
      const send = () => {
        response.write(`data: ${JSON.stringify(this.#state)}\n\n`);
        if (this.ended) end();
      };
      const end = () => {
        this.#changed.delete(send);
        forget();
        response.end();
        resolve();
      };
      this.#changed.add(send);
      const forget = onAbort(signal, end);
      send();
    });
  }
}

/** The jobs of this server, and the last of those that have ended. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();

  add(id: string): Job {
    const job = new Job(id);
    this.#jobs.set(job.state.job, job);
    for (const [number, { ended }] of this.#jobs) {
      if (this.#jobs.size <= MAX_REMEMBERED) break;
      if (ended) this.#jobs.delete(number);
    }
    return job;
  }

  /** Throws Problem 404. */
  get(number: string): Job {
    const job = this.#jobs.get(number);
    if (!job) throw notFound('There is no such job.');
    return job;
  }

  /** Whether a job that has not ended is to make the picture with this id. */
  promises(id: string): boolean {
    for (const job of this.#jobs.values()) if (!job.ended && job.state.id === id) return true;
    return false;
  }
}
