import { AwsClient } from 'aws4fetch';
import { type Agent, fetch as undiciFetch } from 'undici';
import { RequestError, SourceError } from '../../errors.ts';
import { httpSource } from '../../reader/http-source.ts';
import type { Config } from '../config.ts';
import { notFound, PictureChanged, Problem } from '../problem.ts';
import { AddressRefused, addressCheck, guardedAgent } from './addresses.ts';
import type { RemoteSource } from './liif-picture.ts';

interface Remote {
  readonly name: string;
  /** Beginning of the ids that are URLs. */
  readonly prefix: URL;
  /** Where the bytes are: `prefix`, or the HTTP address of an S3 prefix. */
  readonly base: URL;
  readonly signed: boolean;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A file of a remote. */
export interface Located {
  readonly url: string;
  readonly signed: boolean;
  /** Name of the remote. */
  readonly remote: string;
}

/**
 * Hears that a remote has refused a file. `reason`: status, and the error code of an S3 service. Clients only
 * get a 404.
 */
export type OnRefused = (remote: string, reason: string) => void;

/**
 * Folders of .liif files on other servers. An id is `NAME/path` or the whole URL, without `.liif` in both
 * cases.
 */
export class Remotes {
  readonly #remotes: readonly Remote[];
  readonly #agent: Agent | undefined;
  readonly #aws: AwsClient | undefined;
  readonly #timeoutMs: number;
  readonly #onRefused: OnRefused | undefined;

  constructor(
    config: Pick<Config, 'remotes' | 'allowAddresses' | 's3Endpoint' | 's3Region' | 'remoteTimeoutMs'>,
    credentials?: Credentials,
    onRefused?: OnRefused,
  ) {
    this.#timeoutMs = config.remoteTimeoutMs;
    this.#onRefused = onRefused;
    const mayConnect = addressCheck(config.allowAddresses);
    if (config.remotes.length > 0) this.#agent = guardedAgent(mayConnect, config.remoteTimeoutMs);
    this.#remotes = config.remotes.map((text, index) => parseRemote(text, index, config));
    this.#aws =
      credentials && new AwsClient({ ...credentials, service: 's3', region: config.s3Region, retries: 0 });
  }

  /** The address of an id, or undefined if no remote covers it. */
  locate(id: string): Located | undefined {
    if (/^[a-z0-9]+:\/\//.test(id)) return this.#locateUrl(id);
    for (const { name, base, signed } of this.#remotes) {
      if (!id.startsWith(`${name}/`)) continue;
      const path = id
        .slice(name.length + 1)
        .split('/')
        .map(encodeURIComponent)
        .join('/');
      return { url: `${base.href}${path}.liif`, signed, remote: name };
    }
    return undefined;
  }

  /**
   * The bytes at an address that `locate` gave. Reading rejects with PictureChanged, Problem or the signal's
   * reason.
   */
  open(located: Located): RemoteSource {
    let status = 0;
    let validator: string | undefined;
    let refused = false;
    const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
      // Of this request, not of the one before.
      status = 0;
      refused = false;
      const headers = new Headers(init.headers);
      if (located.signed && this.#aws) {
        const request = await this.#aws.sign(String(input), { headers, method: 'GET' });
        for (const [name, value] of request.headers) headers.set(name, value);
      }
      try {
        const response = await undiciFetch(String(input), {
          headers: Object.fromEntries(headers),
          dispatcher: this.#agent!,
          redirect: 'error',
          ...(init.signal && { signal: init.signal }),
        });
        status = response.status;
        if (this.#onRefused && (status === 401 || status === 403))
          this.#onRefused(located.remote, `${status}${await codeOf(response.body)}`);
        // The first one counts: if it changes, `httpSource` rejects with SourceError `changed`.
        if (response.ok)
          validator ??= response.headers.get('etag') ?? response.headers.get('last-modified') ?? undefined;
        return response as unknown as Response;
      } catch (error) {
        if (causes(error).some((cause) => cause instanceof AddressRefused)) refused = true;
        throw error;
      }
    };
    const source = httpSource(located.url, { fetch, timeoutMs: this.#timeoutMs, retries: 1 });
    return {
      name: source.name,
      get size() {
        return source.size;
      },
      get validator() {
        return validator;
      },
      async getBytes(offset, length, signal) {
        try {
          return await source.getBytes(offset, length, signal);
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          if (error.code === 'changed')
            throw new PictureChanged('the remote file has been replaced', { cause: error });
          if (refused)
            throw new Problem(403, 'address-refused', 'The picture lies where this server does not go.', {
              cause: error,
            });
          if ([401, 403, 404, 410].includes(status)) throw notFound('There is no such picture.');
          const slow = error.code === 'slow';
          throw new Problem(
            slow ? 504 : 502,
            slow ? 'remote-slow' : 'remote-failed',
            slow ? 'The remote server does not answer in time.' : 'The remote server does not give the file.',
            { cause: error },
          );
        }
      },
      close: () => source.close(),
    };
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
  }

  #locateUrl(id: string): Located | undefined {
    let url: URL;
    try {
      url = new URL(`${id}.liif`);
    } catch {
      return undefined;
    }
    // The parser has resolved dots and odd spellings of addresses, so the URL that is compared is the one
    // that is fetched.
    if (url.username || url.password || url.search || url.hash) return undefined;
    if (/%2e|%2f|%5c/i.test(url.pathname)) return undefined;
    // Some servers cut path segments at a semicolon, which turns `..;x` into `..`.
    if (/\/\.+(;|%3b)/i.test(url.pathname)) return undefined;
    const path = plainlySpelled(url.pathname);
    for (const { name, prefix, base, signed } of this.#remotes) {
      if (url.protocol !== prefix.protocol || url.host !== prefix.host) continue;
      const folder = plainlySpelled(prefix.pathname);
      if (!path.startsWith(folder)) continue;
      return { url: `${base.href}${path.slice(folder.length)}`, signed, remote: name };
    }
    return undefined;
  }
}

/** A path without needless escapes (RFC 3986, 6.2.2.2), so that a file has one address. */
function plainlySpelled(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (code) => {
    const letter = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return /[\w~-]/.test(letter) ? letter : code.toUpperCase();
  });
}

/** Throws RequestError. Messages go into logs, so none repeats an address, which may hold a password. */
function parseRemote(text: string, index: number, config: Pick<Config, 's3Endpoint' | 's3Region'>): Remote {
  const match = /^([\w-]+)=(.+)$/.exec(text);
  if (match === null)
    throw new RequestError(
      `remotes: number ${index + 1} is not NAME=https://host/path/ or NAME=s3://bucket/path/`,
    );
  const [, name, address] = match;
  let prefix: URL;
  try {
    prefix = new URL(address!.endsWith('/') ? address! : `${address}/`);
  } catch {
    throw new RequestError(`remote ${name}: its address is not a URL`);
  }
  if (prefix.username || prefix.password)
    throw new RequestError(`remote ${name}: addresses with a user or password are not fetched`);
  if (!['http:', 'https:', 's3:'].includes(prefix.protocol) || prefix.search || prefix.hash)
    throw new RequestError(`remote ${name}: expected an http, https or s3 URL without query`);
  if (prefix.protocol !== 's3:') return { name: name!, prefix, base: prefix, signed: false };
  const path = prefix.pathname.replace(/^\//, '');
  const base = config.s3Endpoint
    ? `${config.s3Endpoint.replace(/\/$/, '')}/${prefix.host}/${path}`
    : `https://${prefix.host}.s3.${config.s3Region}.amazonaws.com/${path}`;
  const url = new URL(base);
  if (url.username || url.password)
    throw new RequestError('setting s3Endpoint: addresses with a user or password are not fetched');
  return { name: name!, prefix, base: url, signed: true };
}

/** The error code in an answer of an S3 service, after a space; empty if there is none. */
async function codeOf(body: Awaited<ReturnType<typeof undiciFetch>>['body']): Promise<string> {
  const first = await body?.getReader().read();
  const [, code] = /<Code>(\w{1,64})<\/Code>/.exec(Buffer.from(first?.value ?? []).toString()) ?? [];
  return code === undefined ? '' : ` ${code}`;
}

function causes(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let at = error; at !== undefined && at !== null && found.length < 8; at = (at as Error).cause)
    found.push(at);
  return found;
}
