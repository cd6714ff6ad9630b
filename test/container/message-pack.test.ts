import { Packr } from 'msgpackr';
import { expect, it } from 'vitest';
import { readMessagePack } from '../../src/container/message-pack.ts';

const NONE = new Set<string>();

it('reads what another writer packs', () => {
  const values: [string, unknown][] = [
    ...[0, 1, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1].map(
      (value): [string, unknown] => [`${value}`, value],
    ),
    ...[-1, -32, -33, -128, -129, -32768, -32769, -(2 ** 31), -(2 ** 31) - 1].map(
      (value): [string, unknown] => [`${value}`, value],
    ),
    ...[0.5, -1e300, Number.POSITIVE_INFINITY].map((value): [string, unknown] => [`${value}`, value]),
    ...['', 'é', 'x'.repeat(31), 'x'.repeat(32), 'y'.repeat(300), 'z'.repeat(70_000)].map(
      (value): [string, unknown] => [`text of ${value.length}`, value],
    ),
    ['nothing', null],
    ['yes', true],
    ['no', false],
    ['list', [1, ['two', [3.5]]]],
    ['long list', Array.from({ length: 70_000 }, (_, i) => i % 5)],
    ['map', new Map<string, unknown>([['inside', new Map([['deeper', -7]])]])],
  ];
  const packed = new Packr({ useRecords: false }).pack(new Map(values));
  expect(readMessagePack(packed, NONE)).toEqual(new Map(values));
});

it.each([1, 255, 256, 70_000])('reads %i bytes', (length) => {
  const data = Uint8Array.from({ length }, (_, i) => i * 7);
  const packed = new Packr({ useRecords: false }).pack(new Map([['data', data]]));
  const found = readMessagePack(packed, NONE).get('data') as Uint8Array;
  expect(Uint8Array.from(found)).toEqual(data);
});

it('reads numbers that are spelled longer than they need to be', () => {
  const spellings = [
    [7],
    [0xcc, 7],
    [0xcd, 0, 7],
    [0xce, 0, 0, 0, 7],
    [0xcf, 0, 0, 0, 0, 0, 0, 0, 7],
    [0xd0, 7],
    [0xd1, 0, 7],
    [0xd2, 0, 0, 0, 7],
    [0xd3, 0, 0, 0, 0, 0, 0, 0, 7],
  ];
  for (const bytes of spellings)
    expect(readMessagePack(Uint8Array.of(0x81, 0xa1, 97, ...bytes), NONE).get('a')).toBe(7);
  const negative = [0xd3, 255, 255, 255, 255, 255, 255, 255, 255];
  expect(readMessagePack(Uint8Array.of(0x81, 0xa1, 97, ...negative), NONE).get('a')).toBe(-1);
  expect(readMessagePack(Uint8Array.of(0x81, 0xa1, 97, 0xca, 0x3f, 0x80, 0, 0), NONE).get('a')).toBe(1);
});

it('reads lists, maps and keys of every length at which their spelling changes', () => {
  const lengths = [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536];
  const values = new Map<string, unknown>([
    ...lengths.map((length): [string, unknown] => [`list of ${length}`, new Array(length).fill(1)]),
    ...lengths.map((length): [string, unknown] => [
      `map of ${length}`,
      new Map(Array.from({ length }, (_, i) => [`${i}`, -1])),
    ]),
    ...lengths.map((length): [string, unknown] => ['k'.repeat(length), length]),
    ['byte order mark', '\ufefftext'],
  ]);
  const packed = new Packr({ useRecords: false }).pack(values);
  expect(readMessagePack(packed, NONE)).toEqual(values);
});
