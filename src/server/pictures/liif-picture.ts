import { createHash } from 'node:crypto';
import { modelHash } from '../../container/header.ts';
import { SourceError, UnsupportedError } from '../../errors.ts';
import { openReader, type Reader } from '../../reader/reader.ts';
import type { Source } from '../../reader/source.ts';
import type { RunningEngine } from '../engines/engine-host.ts';
import { PictureChanged } from '../problem.ts';
import { LiifDecoder } from './liif-decoder.ts';
import type { ServedPicture } from './picture.ts';
import { HASHED_PIECE } from './whole-file.ts';

/**
 * Most chunks of a file. By default a chunk has 512 pixels a side. As many files may be open as requests
 * wait.
 */
export const MAX_SERVED_CHUNKS = 2 ** 18;
/** What an open file keeps in memory of each chunk. */
const INDEXED_CHUNK_BYTES = 12;

/** Bytes behind an address. */
export interface RemoteSource extends Source {
  /**
   * The ETag or the time of the file, as its server gave it with the first bytes; undefined until then, and
   * where the server gives neither.
   */
  readonly validator: string | undefined;
}

/**
 * Opens a .liif; the picture closes the source. `id` is part of the names that caches know the picture by, so
 * that they never give what they keep to another file. `running` gives the engine for a model, by its hash.
 * Rejects with FormatError, UnsupportedError, SourceError or PictureChanged, and as `running` does.
 */
export async function openLiifPicture(
  source: Source | RemoteSource,
  id: string,
  running: (hash: string) => Promise<RunningEngine>,
  signal?: AbortSignal,
): Promise<ServedPicture> {
  try {
    const reader = await openReader(source, { maxChunks: MAX_SERVED_CHUNKS, ...(signal && { signal }) });
    const needed = modelHash(reader.header);
    const engine = await running(needed);
    if (needed !== engine.engine.model.hash)
      throw new UnsupportedError(
        `${source.name} needs model ${needed}, which this server does not have; name its file with --model FILE`,
      );
    // Header and index hold the CRC of every chunk, and the model's hash. Pixels depend on nothing else,
    // unless somebody forges a chunk to a CRC.
    const index = await reader.source.getBytes(0, reader.prefixLength, signal);
    const identity = createHash('sha256').update('liif\n').update(index).digest('hex');
    return pictureOf({ reader, origin: source, id, identity, engine });
  } catch (error) {
    await source.close();
    throw changedOr(error);
  }
}

interface OpenedLiif {
  readonly reader: Reader;
  /** What the reader reads from. */
  readonly origin: Source | RemoteSource;
  readonly id: string;
  readonly identity: string;
  readonly engine: RunningEngine;
}

function pictureOf(opened: OpenedLiif): ServedPicture {
  const { reader, id, identity, engine } = opened;
  const { header, source, fileLength } = reader;
  const { width, height, channels, alpha, quality, levels, overviewFactor, encoder } = header;
  const colorSpace = header.colorSpace && { colorSpace: header.colorSpace };
  const cacheName = createHash('sha256').update(`${identity}\n${id}`).digest('hex');
  const decoder = new LiifDecoder(reader, cacheName, engine);
  let hash: Promise<string> | undefined;
  return {
    kind: 'liif',
    width,
    height,
    channels,
    alpha,
    ...colorSpace,
    bytes: fileLength,
    heldBytes: reader.entries.length * INDEXED_CHUNK_BYTES,
    identity,
    cacheName,
    facts: { ...colorSpace, quality, levels, overviewFactor, model: modelHash(header), encoder },
    estimate: (query) => decoder.estimate(query),
    render: (...call) => decoder.render(...call).catch(rethrowChanged),
    getBytes: (...call) => source.getBytes(...call).catch(rethrowChanged),
    /** Hashes the file once, and to its end even if the caller gives up. */
    async fileHash(signal) {
      hash ??= hashOfFile(opened).catch((error: unknown) => {
        hash = undefined;
        throw changedOr(error);
      });
      const found = await hash;
      signal.throwIfAborted();
      return found;
    },
    close: () => reader.close(),
  };
}

async function hashOfFile({ reader, origin, identity }: OpenedLiif): Promise<string> {
  const { source, fileLength } = reader;
  const hash = createHash('sha256');
  // A remote file is not fetched whole for this: its server's validator tells one file from the next.
  if ('validator' in origin) return hash.update(`${identity}\n${origin.validator ?? ''}`).digest('hex');
  for (let at = 0; at < fileLength; at += HASHED_PIECE)
    hash.update(await source.getBytes(at, Math.min(HASHED_PIECE, fileLength - at)));
  return hash.digest('hex');
}

function changedOr(error: unknown): unknown {
  return error instanceof SourceError && error.code === 'changed'
    ? new PictureChanged('the file has been replaced', { cause: error })
    : error;
}

function rethrowChanged(error: unknown): never {
  throw changedOr(error);
}
