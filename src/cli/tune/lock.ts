import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OutputError } from '../../image/errors.ts';

/**
 * Locks an output, so that no other process writes its state. The lock is a listening socket that is named
 * after the output: the system closes it however the process ends. Resolves with a function that unlocks.
 * Rejects with OutputError where another process holds the lock. `addressOf` is for tests.
 */
export async function keepToSelf(path: string, addressOf = socketAddress): Promise<() => Promise<void>> {
  let place: string;
  try {
    place = join(await realpath(dirname(path)), basename(path));
  } catch {
    return async () => {}; // no such folder: writing the output will say so
  }
  const address = addressOf(createHash('sha256').update(place).digest('hex').slice(0, 32));
  const giveUp = (await listen(address)) ?? ((await isLeft(address)) ? await listen(address) : undefined);
  if (giveUp) return giveUp;
  throw new OutputError(
    `${path}: cannot be written: another liif tune is at work on it; wait for it to end, or name another output`,
  );
}

/** On Windows and Linux the address vanishes with the process. On other systems it is a file that stays. */
function socketAddress(name: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\liif-tune-${name}`;
  return process.platform === 'linux' ? `\0liif-tune-${name}` : join(tmpdir(), `liif-tune-${name}`);
}

/** Resolves with a function that stops listening, or undefined where the address is taken. */
function listen(address: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      // EACCES: on Windows, a pipe of another user.
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => {
      server.unref();
      resolve(() => new Promise((closed) => server.close(() => closed())));
    });
  });
}

/**
 * Whether nobody listens at an address that is taken, because the process that did was killed. Removes its
 * file.
 */
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
