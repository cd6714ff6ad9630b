import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { heicAsTiff } from '../../src/image/heic.ts';

it('a HEIC that nobody waits for any more is not decoded', async () => {
  const bytes = await readFile(fileURLToPath(new URL('../fixtures/phone.heic', import.meta.url)));
  const metadata = await sharp(bytes).metadata();
  const signal = AbortSignal.abort(new Error('gone'));
  await expect(heicAsTiff(bytes, metadata, 'phone.heic', signal)).rejects.toThrow('gone');
});
