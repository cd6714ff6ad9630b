import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { SourceError } from '../../errors.ts';

/**
 * Lets a server listen. Resolves with its port: for 0 the free port that was found. Rejects with a
 * SourceError that begins with `name` if the port is taken or not allowed, or the address is not of this
 * machine.
 */
export async function listen(server: Server, name: string, options: ListenOptions): Promise<number> {
  server.listen(options);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new SourceError(
      `${name} ${options.port}${code === 'EADDRINUSE' ? ' is taken by another program' : `: ${message}`}`,
      { cause },
    );
  }
  return (server.address() as AddressInfo).port;
}
