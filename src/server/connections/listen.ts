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
    throw new SourceError(`${name} ${options.port}${reason(cause as NodeJS.ErrnoException, options)}`, {
      cause,
    });
  }
  return (server.address() as AddressInfo).port;
}

/** Why a server cannot listen, as the end of a sentence that begins with the port. */
function reason({ code, message }: NodeJS.ErrnoException, { host }: ListenOptions): string {
  if (code === 'EADDRINUSE') return ' is taken by another program';
  if (code === 'EADDRNOTAVAIL') return `: ${host} is not an address of this machine`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `: no address is known for the host ${host}`;
  return `: ${message}`;
}
