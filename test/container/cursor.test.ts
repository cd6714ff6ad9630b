import { expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../src/container/cursor.ts';

const fault = (offset: number, wanted: number) => new Error(`${wanted} at ${offset}`);

it('reads back what was written, little-endian', () => {
  const writer = new ByteWriter(17);
  writer.writeUint16(0x0102);
  writer.writeUint32(0xfffefdfc);
  writer.writeUint64(2 ** 52 + 1);
  writer.writeBytes(Uint8Array.of(7, 8, 9));
  expect([...writer.bytes.subarray(0, 6)]).toEqual([2, 1, 0xfc, 0xfd, 0xfe, 0xff]);
  const reader = new ByteReader(writer.bytes, fault);
  expect(reader.readUint16()).toBe(0x0102);
  expect(reader.readUint32()).toBe(0xfffefdfc);
  expect(reader.readUint64()).toBe(2n ** 52n + 1n);
  expect([...reader.readBytes(3)]).toEqual([7, 8, 9]);
  expect(reader.remaining).toBe(0);
});

it('never reads past the end of a view into a larger buffer', () => {
  const reader = new ByteReader(new Uint8Array(64).subarray(10, 13), fault);
  reader.readUint16();
  expect(() => reader.readUint16()).toThrow('2 at 2');
  expect(() => reader.readUint32()).toThrow('4 at 2');
  expect(() => reader.readUint64()).toThrow('8 at 2');
  expect(() => reader.readBytes(2 ** 40)).toThrow();
  expect(reader.readUint8()).toBe(0);
  expect(() => reader.readUint8()).toThrow('1 at 3');
});
