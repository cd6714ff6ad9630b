import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, installed, type Running, startProgram, writeConfig } from './setup.ts';

/**
 * Another server, of the same picture as a pyramid TIFF `mosaic.tif` in `directory`. It answers IIIF requests
 * below `prefix`.
 */
export interface Peer {
  readonly running: Running;
  readonly prefix: string;
}

const IIPSRV = '/usr/lib/iipimage-server/iipsrv.fcgi';

export async function startIiifProcessor(directory: string): Promise<Peer> {
  const port = await freePort();
  const prefix = '/iiif/3/mosaic.tif';
  const running = await startProgram(
    process.execPath,
    ['--import', 'tsx', 'test/bench/serve/iiif-processor-server.ts', directory, String(port)],
    `http://127.0.0.1:${port}`,
    `${prefix}/info.json`,
  );
  return { running, prefix };
}

/** The packages that iipsrv needs and that are missing here; undefined where none is. */
export function missingForIipsrv(): string | undefined {
  const missing = [
    installed(IIPSRV) ? [] : ['iipimage-server'],
    installed('spawn-fcgi') ? [] : ['spawn-fcgi'],
    installed('nginx') ? [] : ['nginx'],
  ].flat();
  return missing.length > 0 ? missing.join(', ') : undefined;
}

/**
 * iipsrv behind nginx, as in its documentation. Its cache of tiles is off, as liif's is in the runs that it
 * is compared with. Every request has a connection of its own: on a connection that is kept, one waiting
 * process would hold up all others.
 */
export async function startIipsrv(directory: string, processes: number): Promise<Peer> {
  const home = await mkdtemp(join(tmpdir(), 'liif-iipsrv-'));
  const [port, backend] = [await freePort(), await freePort()];
  const pids = spawnProcesses(directory, backend, processes, home);
  const kill = () => {
    for (const pid of pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended
      }
  };
  process.once('exit', kill);
  const config = await writeConfig(home, 'nginx.conf', nginxConfig(home, port, backend));
  const prefix = '/mosaic.tif';
  const running = await startProgram(
    'nginx',
    ['-p', home, '-e', 'stderr', '-c', config],
    `http://127.0.0.1:${port}`,
    `${prefix}/info.json`,
  );
  return {
    running: {
      ...running,
      async stop() {
        await running.stop();
        kill();
        await rm(home, { recursive: true, force: true });
      },
    },
    prefix,
  };
}

function spawnProcesses(directory: string, port: number, processes: number, home: string): number[] {
  const pidFile = join(home, 'pid');
  execFileSync(
    'spawn-fcgi',
    ['-a', '127.0.0.1', '-p', String(port), '-F', String(processes), '-P', pidFile, '-f', IIPSRV],
    {
      env: {
        ...process.env,
        FILESYSTEM_PREFIX: `${directory}/`,
        JPEG_QUALITY: '85',
        MAX_IMAGE_CACHE_SIZE: '0',
        LOGFILE: '/dev/null',
        VERBOSITY: '0',
      },
      stdio: 'ignore',
    },
  );
  return readFileSync(pidFile, 'utf8').split('\n').filter(Boolean).map(Number);
}

function nginxConfig(home: string, port: number, backend: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${home}/${name};`,
  );
  return `daemon off; ${process.getuid?.() === 0 ? 'user root; ' : ''}pid ${home}/nginx.pid; error_log stderr warn; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  keepalive_requests 1000000;
  ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / {
      fastcgi_pass 127.0.0.1:${backend};
      fastcgi_param QUERY_STRING "IIIF=$uri";
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param HTTP_HOST $http_host;
      fastcgi_param REQUEST_URI $request_uri;
    }
  }
}
`;
}
