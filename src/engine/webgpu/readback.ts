import { EngineError } from '../../errors.ts';
import type { OpenDevice } from './device.ts';
import type { Submitter } from './submission.ts';

/** Readbacks that are under way at a time. */
const SLOTS = 8;
/** GPUBufferUsage and GPUMapMode, which Node does not have as globals. */
const MAP_READ = 1;
const COPY_DST = 8;

/** Buffers that the processor can read, used again and again, for copies out of the device. */
export class ReadbackRing {
  readonly #open: OpenDevice;
  readonly #idle: GPUBuffer[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #buffers = new Set<GPUBuffer>();
  #used = 0;

  constructor(open: OpenDevice) {
    this.#open = open;
  }

  /** Bytes of its buffers. */
  get bytes(): number {
    let bytes = 0;
    for (const { size } of this.#buffers) bytes += size;
    return bytes;
  }

  /**
   * Lends `fill` a buffer of at least this size, which it has the device write to; then passes the contents
   * to `read`, valid only during that call. Waits while all slots are in use. Rejects with EngineError if the
   * device is lost, and as `fill` does.
   */
  async copy<T>(
    byteLength: number,
    fill: (buffer: GPUBuffer) => Promise<void>,
    read: (bytes: ArrayBuffer) => T,
  ): Promise<T> {
    if (this.#used >= SLOTS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#used++;
    let buffer: GPUBuffer | undefined;
    let whole = false;
    try {
      buffer = this.#take(byteLength);
      await fill(buffer);
      const size = align(byteLength);
      await this.#open.unlessLost(buffer.mapAsync(MAP_READ, 0, size).catch(refuse));
      const result = read(buffer.getMappedRange(0, size));
      buffer.unmap();
      whole = true;
      return result;
    } finally {
      if (buffer) this.#giveBack(buffer, whole);
      const next = this.#waiting.shift();
      if (next) next();
      else this.#used--;
    }
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.#idle.length = 0;
  }

  #take(byteLength: number): GPUBuffer {
    const at = this.#idle.findIndex(
      ({ size }) => size >= byteLength && size <= 4 * Math.max(byteLength, 65_536),
    );
    if (at >= 0) return this.#idle.splice(at, 1)[0]!;
    const size = Math.max(65_536, align(byteLength));
    const { device } = this.#open;
    const buffer = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
    this.#buffers.add(buffer);
    return buffer;
  }

  #giveBack(buffer: GPUBuffer, whole: boolean): void {
    if (!this.#buffers.has(buffer)) return;
    if (whole) this.#idle.push(buffer);
    const dropped = whole ? (this.#idle.length > SLOTS ? this.#idle.shift() : undefined) : buffer;
    if (!dropped) return;
    this.#buffers.delete(dropped);
    dropped.destroy();
  }
}

/** Reads the first bytes of a buffer on the device, as int16. */
export function readTensor(
  ring: ReadbackRing,
  submitter: Submitter,
  buffer: GPUBuffer,
  byteLength: number,
): Promise<Int16Array> {
  return ring.copy(
    byteLength,
    (staging) =>
      submitter.submit(({ encoder }) => encoder.copyBufferToBuffer(buffer, 0, staging, 0, byteLength)),
    (bytes) => new Int16Array(bytes.slice(0, byteLength)),
  );
}

function align(byteLength: number): number {
  return Math.ceil(byteLength / 4) * 4;
}

/** For buffers that are destroyed while they are being mapped. */
function refuse(cause: unknown): never {
  throw new EngineError(`The graphics device gives no samples: ${(cause as Error).message}`, { cause });
}
