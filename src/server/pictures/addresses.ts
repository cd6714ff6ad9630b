import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector } from 'undici';
import { RequestError, UnsupportedError } from '../../errors.ts';

/** A connection to an address that is neither public nor allowed was refused. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

export type AddressCheck = (address: string) => boolean;

/**
 * A check that accepts public addresses, and addresses in the given ranges (CIDR). Throws RequestError if a
 * range is malformed.
 */
export function addressCheck(allowed: readonly string[]): AddressCheck {
  const ranges = allowed.map((range) => {
    try {
      return ipaddr.parseCIDR(range);
    } catch (cause) {
      throw new RequestError(`${range} is not a range of addresses such as 10.0.0.0/8`, { cause });
    }
  });
  return (text) => {
    if (!ipaddr.isValid(text)) return false;
    // ::ffff:10.0.0.1 is 10.0.0.1
    const address = ipaddr.process(text);
    if (ranges.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits)))
      return true;
    if (address.range() !== 'unicast') return false;
    if (address.kind() === 'ipv4') return !OTHER_IPV4.some(([range, bits]) => address.match(range, bits));
    return !OTHER_IPV6.some(([range, bits]) => address.match(range, bits));
  };
}

/** Ranges that ipaddr.js calls unicast although they are not global (IANA's special-purpose registries). */
const OTHER_IPV4 = [
  '192.0.0.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.175.48.0/24',
  '198.18.0.0/15',
].map((range) => ipaddr.parseCIDR(range));
/**
 * Ranges that contain IPv4 addresses, and everything outside of 2000::/3, the only part that is given out.
 */
const OTHER_IPV6 = [
  '::/3',
  '4000::/2',
  '8000::/1',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
].map((range) => ipaddr.parseCIDR(range));

/**
 * The HTTP client for remotes. It checks every address when it connects, so that a name whose DNS answer
 * changes does not get through. Throws UnsupportedError under Bun, whose replacement of undici checks
 * nothing.
 */
export function guardedAgent(mayConnect: AddressCheck, timeoutMs: number): Agent {
  if (typeof Agent.prototype.destroy !== 'function')
    throw new UnsupportedError(
      'remotes need Node: addresses cannot be checked here when they are connected to',
    );
  const connect = buildConnector({
    timeout: timeoutMs,
    lookup: (hostname: string, options: LookupOptions, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
        if (error) return callback(error, '', 0);
        const good = addresses.filter(({ address }) => mayConnect(address));
        if (good.length === 0)
          return callback(new AddressRefused('the name has no address that may be connected to'), '', 0);
        // Node asks for all addresses when it tries both families.
        if (options.all) return callback(null, good as unknown as string, 0);
        callback(null, good[0]!.address, good[0]!.family);
      });
    },
  });
  return new Agent({
    connections: 16,
    keepAliveTimeout: 10_000,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect(options, callback) {
      // Literal addresses do not reach `lookup`.
      const host = options.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) !== 0 && !mayConnect(host)) {
        callback(new AddressRefused('the address may not be connected to'), null);
        return;
      }
      connect(options, callback);
    },
  });
}
