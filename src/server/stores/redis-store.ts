import { createClient, ErrorReply, RESP_TYPES } from 'redis';
import { RequestError } from '../../errors.ts';
import { Breaker, type StoreEvents, sealTile, type TileStore, unsealTile } from './tile-store.ts';

export interface RedisStoreOptions extends StoreEvents {
  readonly url: string;
  /** Seconds that a tile stays, default a week. Redis' own `maxmemory` bounds the rest. */
  readonly ttlSeconds?: number;
  /** Longest wait for an answer, default 150 ms: decoding is not much slower. */
  readonly timeoutMs?: number;
  readonly pauseMs?: number;
  /** How long nothing is written after Redis has refused to store something, default a minute. */
  readonly refusedPauseMs?: number;
}

const REFUSED_PAUSE_MS = 60_000;
const PREFIX = 'liif:1:';
const MAX_COMMANDS = 256;
/**
 * Larger images would arrive after `timeoutMs`, and that failure would pause the use of Redis for all images.
 */
const MAX_IMAGE_BYTES = 2 ** 20;
/**
 * Most bytes of images whose storing Redis has not confirmed. While Redis hangs, they stay in the memory of
 * this process.
 */
const MAX_UNANSWERED_BYTES = 2 ** 24;

/**
 * Tiles of up to 1 MiB in Redis, shared by several servers. Opens whether or not Redis answers, and uses it
 * whenever it does. Rejects with RequestError if the URL is malformed.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<TileStore> {
  const breaker = new Breaker('redis', options.pauseMs ?? 1000, options);
  /** For writing alone: a Redis that refuses to store still answers. */
  const writing = new Breaker('redis', options.refusedPauseMs ?? REFUSED_PAUSE_MS, options);
  const ttl = options.ttlSeconds ?? 604_800;
  const timeoutMs = options.timeoutMs ?? 150;
  const client = clientOf(options.url);
  const bytesClient = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  client.on('error', (error: Error) => breaker.failed(reasonOf(error)));
  client.on('ready', () => breaker.worked());
  // Rejects only when closed before it ever connected; until then it keeps trying.
  const connecting = client.connect().catch(() => {});
  await within(timeoutMs * 4, connecting).catch(() => breaker.failed('no connection'));

  let unanswered = 0;

  function set(key: string, bytes: Buffer) {
    unanswered += bytes.length;
    const answer = client.set(PREFIX + key, sealTile(key, bytes), { expiration: { type: 'EX', value: ttl } });
    const over = () => {
      unanswered -= bytes.length;
    };
    answer.then(over, over);
    return answer;
  }

  async function kept(key: string, bytes: Buffer): Promise<void> {
    try {
      await set(key, bytes);
      writing.worked();
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      writing.failed(reasonOf(error));
    }
  }

  async function asked<T>(command: () => Promise<T>): Promise<T | undefined> {
    if (!client.isReady || !breaker.open) return undefined;
    try {
      const answer = await within(timeoutMs, command());
      breaker.worked();
      return answer;
    } catch (error) {
      breaker.failed(reasonOf(error as Error));
      return undefined;
    }
  }

  return {
    name: 'redis',
    get healthy() {
      return breaker.healthy && writing.healthy && client.isReady;
    },
    async get(key) {
      const bytes = await asked(() => bytesClient.get(PREFIX + key));
      if (!bytes) return undefined;
      const payload = unsealTile(key, bytes as Buffer);
      if (payload === undefined) options.onCorrupt?.('redis');
      return payload;
    },
    async put(key, bytes) {
      const { length } = bytes;
      if (!writing.open) return;
      if (length <= MAX_IMAGE_BYTES && unanswered + length <= MAX_UNANSWERED_BYTES)
        await asked(() => kept(key, bytes));
    },
    async close() {
      client.destroy();
      await connecting;
    },
  };
}

function clientOf(url: string) {
  try {
    return createClient({
      url,
      disableOfflineQueue: true,
      commandsQueueMaxLength: MAX_COMMANDS,
      socket: {
        connectTimeout: 2000,
        reconnectStrategy: (attempts: number) => Math.min(2000, 50 * 2 ** Math.min(6, attempts)),
      },
    });
  } catch (cause) {
    // Not the URL: it may hold a password.
    throw new RequestError(`setting redis: ${(cause as Error).message}`, { cause });
  }
}

function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswerError()), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Redis has not answered within `timeoutMs`. */
class NoAnswerError extends Error {}

/**
 * A reason for the log. Messages may hold the URL with its password; error codes, class names, and the first
 * word of a Redis reply (WRONGPASS, OOM) do not.
 */
function reasonOf(error: Error): string {
  const word = error instanceof ErrorReply ? /^[A-Z]+(?= |$)/.exec(error.message)?.[0] : undefined;
  return (error as NodeJS.ErrnoException).code ?? word ?? error.constructor.name;
}
