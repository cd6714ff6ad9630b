import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { crcOf } from '../../src/container/crc32c.ts';
import { TensorFile } from '../../src/network/safetensors.ts';
import { modelBytes, readVectors, type ValidVector } from './vector-files.ts';

/**
 * The specification agrees with itself, with the Python decoder that quotes it, and with the released model.
 */

const FOLDER = fileURLToPath(new URL('../../format-spec', import.meta.url));
const DECODER = join(FOLDER, 'reference/decoder');

const chapters = readdirSync(FOLDER).filter((file) => file.endsWith('.md'));
const read = (file: string) => readFileSync(join(FOLDER, file), 'utf8');

/** The text without Markdown and line breaks. */
const plain = (text: string) =>
  text
    .replace(/[`*\\]/g, '')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replace(/\s+/g, ' ')
    .trim();

/** The quotes in the comments and docstrings of a file, cut at ellipses. */
function quotes(file: string): string[] {
  const text = readFileSync(join(DECODER, file), 'utf8');
  const docstrings = [...text.matchAll(/"""(.*?)"""/gs)].map((match) => match[1]!);
  // Lines that are comments belong together; a comment behind code stands alone.
  const comments = text
    .split('\n')
    .map((line) => /^\s*# ?(.*)$/.exec(line)?.[1] ?? `\u0000${/\s# (.*)$/.exec(line)?.[1] ?? ''}\u0000`)
    .join(' ')
    .split('\u0000');
  return [...docstrings, ...comments]
    .flatMap((comment) => [...comment.matchAll(/"([^"]{12,})"/g)].map((match) => match[1]!))
    .flatMap((quote) => quote.split(/\[\.\.\.\]|\.\.\./))
    .map((part) => part.trim())
    .filter((part) => part.length > 8);
}

describe('the second decoder', () => {
  const text = plain(chapters.map(read).join('\n'));
  const files = readdirSync(DECODER).filter((file) => file.endsWith('.py'));

  it.each(files)('%s quotes what the specification says', (file) => {
    const missing = quotes(file).filter((quote) => !text.includes(plain(quote)));
    expect(missing).toEqual([]);
  });

  it('quotes a good part of it', () => {
    expect(files.flatMap(quotes).length).toBeGreaterThan(60);
  });
});

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

describe('appendix A', () => {
  const text = read('appendix-a-tables.md');

  it('has the table of the CRC, and its digest', () => {
    const rows = /```\n([0-9A-F \n]+)```/.exec(text)![1]!;
    const table = rows
      .trim()
      .split(/\s+/)
      .map((value) => Number.parseInt(value, 16));
    const crc = (bytes: Uint8Array) =>
      ~bytes.reduce((sum, byte) => (sum >>> 8) ^ table[(sum ^ byte) & 255]!, -1) >>> 0;
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
    expect(crc(bytes)).toBe(crcOf(bytes));
    expect(text).toContain(sha256(new Uint8Array(Uint32Array.from(table).buffer)));
  });

  it('has the digests of the released model and of its tables', () => {
    const name = /Model `(liif-[^`]+)`/.exec(text)![1]!;
    const bytes = modelBytes(name);
    expect(text).toContain(`\`${sha256(bytes)}\``);
    const file = new TensorFile(bytes);
    expect(text).toContain(`\`${file.metadata.get('hash')}\``);
    const graph = JSON.parse(file.metadata.get('graph')!);
    const rows = [...text.matchAll(/^\| (\w+)\.(\w+) \| (I\d\d) \| \[([\d, ]+)\] \| `(\w+)` \|$/gm)];
    expect(rows.length).toBe(15);
    for (const [, part, key, type, shape, digest] of rows) {
      const tensor = graph[part!][key!];
      const sizes = shape!.split(', ').map(Number);
      const data = type === 'I16' ? file.int16(tensor, sizes) : file.int32(tensor, sizes);
      expect(sha256(new Uint8Array(data.buffer)), `${part}.${key}`).toBe(digest);
    }
  });
});

describe('appendix B', () => {
  const text = read('appendix-b-walkthrough.md');
  const vector = readVectors<ValidVector>('valid').find(({ name }) => name === '01-one-pixel')!;

  it('shows every byte of the file, in order', () => {
    const rows = [...text.matchAll(/^\| (\d+) \| `([0-9A-F ]+)` \|/gm)];
    let offset = 0;
    for (const [, at, bytes] of rows) {
      expect(Number(at)).toBe(offset);
      const length = bytes!.split(' ').length;
      expect(Buffer.from(bytes!.replaceAll(' ', ''), 'hex')).toEqual(
        Buffer.from(vector.bytes.subarray(offset, offset + length)),
      );
      offset += length;
    }
    expect(offset).toBe(vector.bytes.length);
  });

  it('comes out at the pixel', () => {
    const pixel = /\*\*([\d, ]+)\*\*/.exec(text)![1]!.split(', ').map(Number);
    expect([0, 0, ...pixel]).toEqual(vector.queries[0]!.pixels[0]);
  });
});

describe('the text', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-');

  it.each(chapters)('%s links to files and headings that exist', (file) => {
    for (const [, target, anchor] of read(file).matchAll(/\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)/g)) {
      const path = join(FOLDER, target!);
      expect(existsSync(path), target).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)].map((m) => slug(m[1]!));
      expect(headings, target).toContain(anchor);
    }
  });

  it('speaks of no section that it does not have', () => {
    const sections = new Set(
      chapters.flatMap((file) => [...read(file).matchAll(/^## (\w+\.\d+)/gm)].map((m) => m[1]!)),
    );
    expect(sections.size).toBeGreaterThan(30);
    // Those in parentheses: elsewhere a number may be just a number.
    for (const file of chapters)
      for (const [, list] of read(file).matchAll(/\(((?:\d\.\d[, to]*)+)/g))
        for (const section of list!.match(/\d\.\d/g)!)
          expect(sections, `${file}: ${section}`).toContain(section);
  });

  it('lists every work that it cites, and cites every work that it lists', () => {
    const work = /\[[A-Z][A-Z0-9]+\](?!\()/g;
    const reference = /^\| \[[A-Z][A-Z0-9]+\].*$/gm;
    const listed = read('README.md')
      .match(reference)!
      .flatMap((row) => row.match(work)!);
    const cited = chapters.flatMap((file) => read(file).replace(reference, '').match(work) ?? []);
    expect([...new Set(cited)].sort()).toEqual(listed.sort());
  });
});
