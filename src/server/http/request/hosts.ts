import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { Request } from 'express';
import { Problem } from '../../problem.ts';

export interface HostOptions {
  readonly publicUrl?: string | undefined;
  readonly allowedHosts: readonly string[];
  readonly trustProxy: boolean;
}

/**
 * The addresses at which clients reach this server, and the hosts that it answers for. A name from the Host
 * header goes into answers only if it is allowed.
 */
export class Hosts {
  readonly #options: HostOptions;
  readonly #allowed: ReadonlySet<string>;
  readonly #public: URL | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    const own = hostname().toLowerCase();
    this.#public = options.publicUrl === undefined ? undefined : new URL(options.publicUrl);
    this.#allowed = new Set(
      ['localhost', own, `${own}.local`, ...options.allowedHosts].map((name) => name.toLowerCase()),
    );
  }

  /**
   * URL of the root of this server, where it is mounted, without a slash at its end. Throws Problem 421 where
   * the Host header names another server.
   */
  baseOf(request: Request): string {
    const protocol = this.#protocol(request);
    const host = this.#host(request);
    if (this.#public) return `${this.#public.href.replace(/\/$/, '')}${request.baseUrl}`;
    return `${protocol}://${host}${request.baseUrl}`;
  }

  /**
   * As `baseOf`, for answers that caches keep, some of them without regard to the host. Leaves out a host
   * that is an IP address unless the connection came to that address: a client may name any address, and a
   * cache would hand it on to others.
   */
  lastingBaseOf(request: Request): string {
    const base = this.baseOf(request);
    if (this.#public) return base;
    const { hostname } = new URL(base);
    const local = request.socket.localAddress?.replace(/^::ffff:/, '');
    return isAddress(hostname) && bare(hostname) !== local ? request.baseUrl : base;
  }

  #host(request: Request): string {
    const forwarded = this.#options.trustProxy ? firstOf(request.headers['x-forwarded-host']) : undefined;
    const host = forwarded ?? request.headers.host ?? '';
    const match = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?$/.exec(host);
    const name = match?.[1]?.toLowerCase();
    // Port 65536 is nobody's, and 1.2.3.999 no address.
    if (name !== undefined && this.#isKnown(name) && URL.canParse(`http://${host}`)) return host;
    throw new Problem(
      421,
      'unknown-host',
      'This server does not answer for that host: the setting allowedHosts (--allowed-hosts) does not name it.',
    );
  }

  #isKnown(name: string): boolean {
    return (
      this.#allowed.has('*') || this.#allowed.has(name) || isAddress(name) || this.#public?.hostname === name
    );
  }

  #protocol(request: Request): string {
    const encrypted = (request.socket as { encrypted?: boolean }).encrypted === true;
    const forwarded = this.#options.trustProxy ? firstOf(request.headers['x-forwarded-proto']) : undefined;
    return forwarded === 'https' || forwarded === 'http' ? forwarded : encrypted ? 'https' : 'http';
  }
}

function isAddress(name: string): boolean {
  return isIP(bare(name)) !== 0;
}

/** IPv6 addresses have brackets in URLs. */
function bare(name: string): string {
  return name.replace(/^\[|\]$/g, '');
}

function firstOf(header: string | readonly string[] | undefined): string | undefined {
  const text = typeof header === 'string' ? header : header?.[0];
  return text?.split(',')[0]?.trim();
}
