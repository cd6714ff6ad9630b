import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeImage } from '../../src/encode.ts';
import type { Raster } from '../../src/image/raster.ts';
import { openServerEngine } from '../../src/server/engines/open-server-engine.ts';
import { directoryOf, eventually, imageOf, startServer, type TestServer } from './server-fixture.ts';

/**
 * Where the validator of the IIIF community is: `pip install iiif-validator`, with its commands on the PATH.
 */
function validator(): { readonly command: string; readonly python: string } | undefined {
  try {
    const command = execFileSync('sh', ['-c', 'command -v iiif-validate.py'], { encoding: 'utf8' }).trim();
    const python = execFileSync('sed', ['-n', '1s/^#!//p', command], { encoding: 'utf8' }).trim();
    return { command, python };
  } catch {
    return undefined;
  }
}

const found = validator();
const title = found
  ? 'the IIIF validator'
  : 'the IIIF validator (skipped: iiif-validate.py is not on the PATH)';

describe.skipIf(!found)(title, () => {
  const id = '67352ccc-d1b0-11e1-89ae-279075081939';
  let server: TestServer;

  beforeAll(async () => {
    const raster = await squares(found!.python);
    const engine = await openServerEngine({ engine: 'wasm', threads: 2 });
    const liif = await encodeImage(engine, raster, { quality: 100 });
    await engine.close();
    const root = await directoryOf({
      [`${id}.png`]: await imageOf(raster).png().toBuffer(),
      [`${id}.liif`]: liif,
    });
    server = await startServer({
      roots: [root],
      openEngine: () => openServerEngine({ engine: 'wasm', threads: 2 }),
    });
    // The validator gives up on slow answers; the first one opens the engine, and may be late on a busy
    // machine.
    await eventually(async () => (await server.get(`/iiif/3/${id}/full/max/0/default.jpg`)).status === 200);
  }, 120_000);

  it.each([
    ['png', '3.0', 33],
    ['liif', '3.0', 33],
    ['png', '2.0', 30],
    ['liif', '2.0', 30],
  ])(
    'finds nothing wrong with a .%s by version %s at level 2',
    async (ending, version, tests) => {
      const { host } = new URL(server.localUrl);
      const prefix = version === '3.0' ? 'iiif/3' : 'iiif/2';
      const args = [
        '-s',
        host,
        '-p',
        prefix,
        '-i',
        ending === 'liif' ? id : `${id}.${ending}`,
        '--version',
        version,
        '--level',
        '2',
      ];
      const { stderr, stdout } = await promisify(execFile)(found!.command, args).catch(
        (failure: { stdout: string; stderr: string }) => failure,
      );
      const said = stdout + stderr;
      expect(said.split('\n').filter((line) => line.includes('FAIL'))).toEqual([]);
      expect(said).toContain(`Done (${tests} tests, 0 failures)`);
    },
    120_000,
  );
});

/** The validator's test picture: ten by ten squares of 100 pixels, in colors that it tells itself. */
async function squares(python: string): Promise<Raster> {
  const program =
    'import json; from iiif_validator.validator import ValidationInfo; print(json.dumps(ValidationInfo().colorInfo))';
  const { stdout } = await promisify(execFile)(python, ['-c', program]);
  // The module greets first.
  const colors = JSON.parse(stdout.slice(stdout.indexOf('[['))) as number[][][];
  const side = 1000;
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, i = 0; y < side; y++)
    for (let x = 0; x < side; x++, i += 3) data.set(colors[Math.floor(x / 100)]![Math.floor(y / 100)]!, i);
  return { width: side, height: side, channels: 3, data };
}
