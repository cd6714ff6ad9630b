import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OutputError } from '../image/errors.ts';

/**
 * Keeps an output to this process, so that no other shares its state: by listening on a socket that is named after it, which the system closes however the process ends. Resolves
 * with what gives it up. Rejects with OutputError where another process has it. `addressOf`: for tests.
 */
export async function keepToSelf(path: string, addressOf = socketAddress): Promise<() => Promise<void>> {
  let place: string;
  try {
    place = join(await realpath(dirname(path)), basename(path));
  } catch {
    return async () => {}; // no such folder, which whoever writes there says better
  }
  const address = addressOf(createHash('sha256').update(place).digest('hex').slice(0, 32));
  const giveUp = (await listen(address)) ?? ((await isLeft(address)) ? await listen(address) : undefined);
  if (giveUp) return giveUp;
  throw new OutputError(
    `${path}: cannot be written: another liif tune is at work on it; wait for it to end, or name another output`,
  );
}

/** Where nothing stays when a process has ended, but on systems that are neither. */
function socketAddress(name: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\liif-tune-${name}`;
  return process.platform === 'linux' ? `\0liif-tune-${name}` : join(tmpdir(), `liif-tune-${name}`);
}

/** Undefined where the address is taken. */
function listen(address: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      // A pipe of somebody else's on Windows.
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => {
      server.unref();
      resolve(() => new Promise((closed) => server.close(() => closed())));
    });
  });
}

/** Whether nobody listens at an address that is taken: the file of a socket outlives a process that was killed. It is gone then. */
async function isLeft(address: string): Promise<boolean> {
  const refused = await new Promise<boolean>((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(false);
    }).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
  if (refused) await rm(address, { force: true });
  return refused;
}
