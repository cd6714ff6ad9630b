import { onAbort } from '../../src/on-abort.ts';
import type { ImageInfo } from '../../src/server/http/answer/image-info.ts';
import type { JobState } from '../../src/server/http/uploads/upload-jobs.ts';

export type { ImageInfo };

const UNREACHABLE = 'The server cannot be reached.';
/** Longest name that the server takes, in UTF-8. */
const MAX_NAME_BYTES = 200;

export interface ImageList {
  /** Whether the server takes images. */
  readonly upload: boolean;
  readonly total: number;
  /** `total` without plain images that share the name of a .liif, their originals. */
  readonly pictures: number;
  readonly images: readonly ImageInfo[];
  readonly failed: readonly { readonly id: string; readonly title: string; readonly code: string }[];
}

/** Root of the server, with a slash at its end. The pages lie directly in it. */
export function serverRoot(): string {
  return new URL('.', document.baseURI).href;
}

/** The full address for a path that the server gave, counted from its root. */
export function addressOf(path: string): string {
  return new URL(path.replace(/^\//, ''), serverRoot()).href;
}

/** The page comes from a static host, which has files but no tile server. */
export class NoTileServer extends Error {
  override readonly name = 'NoTileServer';
}

/** The server did not do what it was asked for. The message is for people. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  /** Status of its answer; undefined where it cannot be reached. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status;
  }
}

/** Lists pictures, only those with `part` in their names. Rejects with NoTileServer or ServerError. */
export async function listImages(
  offset = 0,
  limit = 200,
  signal?: AbortSignal,
  part = '',
): Promise<ImageList> {
  const query = part === '' ? '' : `&q=${encodeURIComponent(part)}`;
  const response = await ask(`/api/images?offset=${offset}&limit=${limit}${query}`, signal);
  // Static hosts say that there is no such file, or send a page for it.
  const json = response.headers.get('Content-Type')?.includes('json') ?? false;
  if (!json && (response.ok || response.status === 404 || response.status === 403)) throw new NoTileServer();
  return answer(response);
}

/** Rejects with ServerError. */
export async function imageInfo(id: string, signal?: AbortSignal): Promise<ImageInfo> {
  return answer(await ask(`/api/images/${encodeURIComponent(id)}`, signal));
}

/**
 * Sends an image to be encoded, or a .liif to be kept, and waits for its picture. `onProgress`: 0 .. 1,
 * sending first, then encoding. Resolves with undefined where `signal` was aborted in time, and rejects with
 * an Error whose message can be shown.
 */
export async function uploadImage(
  file: File,
  onProgress: (stage: 'sending' | 'encoding', progress: number) => void,
  signal: AbortSignal,
): Promise<ImageInfo | undefined> {
  try {
    const job = await send(file, (progress) => onProgress('sending', progress), signal);
    return await finished(job, (progress) => onProgress('encoding', progress), signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

/** By XMLHttpRequest: fetch does not tell how much has been sent. */
function send(file: File, onProgress: (progress: number) => void, signal: AbortSignal): Promise<JobState> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const name = encodeURIComponent(nameFor(file.name) || 'image');
    request.open('POST', addressOf(`/api/images?name=${name}`));
    request.responseType = 'json';
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.addEventListener('progress', ({ loaded, total }) =>
      onProgress(loaded / Math.max(1, total)),
    );
    request.addEventListener('load', () => {
      if (request.status === 202) resolve(request.response as JobState);
      else reject(new Error(messageOf(request.response) ?? `The server answered ${request.status}.`));
    });
    request.addEventListener('error', () => reject(new ServerError(UNREACHABLE)));
    request.addEventListener('abort', () => reject(signal.reason));
    onAbort(signal, () => request.abort());
    request.send(file);
  });
}

/** The name of a picture, cut to what the server takes, without splitting a letter. */
function nameFor(fileName: string): string {
  const letters = fileName
    .normalize()
    .replaceAll(/[^\p{L}\p{N}\p{M} ._()+-]/gu, '_')
    .replace(/^[^\p{L}\p{N}_]+/u, '');
  const kept = [...letters].slice(0, 90);
  while (new TextEncoder().encode(kept.join('')).length > MAX_NAME_BYTES) kept.pop();
  return kept.join('');
}

function finished(
  job: JobState,
  onProgress: (progress: number) => void,
  signal: AbortSignal,
): Promise<ImageInfo> {
  return new Promise((resolve, reject) => {
    const events = new EventSource(addressOf(`/api/jobs/${job.job}`));
    const end = (act: () => void) => {
      events.close();
      act();
    };
    events.addEventListener('message', ({ data }) => {
      const state = JSON.parse(data as string) as JobState;
      onProgress(state.progress);
      if (state.state === 'done' && state.image) end(() => resolve(state.image!));
      else if (state.state === 'failed')
        end(() =>
          reject(
            signal.aborted
              ? signal.reason
              : new Error(messageOf(state.problem) ?? 'The image could not be encoded.'),
          ),
        );
    });
    events.addEventListener('error', () => {
      // The browser takes up interrupted connections again, but not closed ones.
      if (events.readyState === EventSource.CLOSED)
        end(() => reject(new Error('The server has stopped telling how far it is.')));
    });
    // The job then reports that it has failed, or that it had already finished.
    const cancel = () =>
      ask(`/api/jobs/${job.job}`, undefined, 'DELETE').catch((error) => end(() => reject(error)));
    if (signal.aborted) void cancel();
    else onAbort(signal, () => void cancel());
  });
}

/** Rejects with ServerError, or with the reason of the signal. */
async function ask(path: string, signal?: AbortSignal, method = 'GET'): Promise<Response> {
  try {
    return await fetch(addressOf(path), { method, signal: signal ?? null });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ServerError(UNREACHABLE, { cause });
  }
}

async function answer<T>(response: Response): Promise<T> {
  const { ok, status } = response;
  if (ok)
    return response.json().catch((cause) => {
      throw new ServerError('The answer is not that of a tile server. You may have to log in again.', {
        cause,
        status,
      });
    });
  const body: unknown = await response.json().catch(() => undefined);
  throw new ServerError(messageOf(body) ?? `The server answered ${status}.`, { status });
}

/** The text for people in an answer of problem+json. */
function messageOf(body: unknown): string | undefined {
  const detail = (body as { readonly detail?: unknown } | null | undefined)?.detail;
  return typeof detail === 'string' ? detail : undefined;
}
