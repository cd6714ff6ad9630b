import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../src/errors.ts';
import { IMAGE_FORMATS, type ImageFormat } from '../../../src/image/formats.ts';
import { type KeptMetadata, metadataFor } from '../../../src/image/metadata/kept.ts';

const text = (length: number) => new Uint8Array(Buffer.alloc(length, ' '));

function kept(format: ImageFormat, metadata: KeptMetadata) {
  const warnings: string[] = [];
  const result = metadataFor(format, metadata, (message) => warnings.push(message));
  return { result, warnings };
}

describe('metadataFor', () => {
  it('keeps EXIF and XMP, of any length that fits, in formats that have a place for them', () => {
    for (const format of ['png', 'jpeg', 'webp', 'avif'] as const) {
      const metadata = { exif: text(65_000), xmp: text(60_000) };
      expect(kept(format, metadata)).toEqual({ result: metadata, warnings: [] });
      expect(kept(format, { exif: text(9) })).toEqual({ result: { exif: text(9) }, warnings: [] });
      expect(kept(format, { xmp: text(9) })).toEqual({ result: { xmp: text(9) }, warnings: [] });
    }
  });

  it('says nothing where there is nothing to keep', () => {
    for (const format of IMAGE_FORMATS) expect(kept(format, {})).toEqual({ result: undefined, warnings: [] });
  });

  it('leaves out what is too long, and keeps the rest', () => {
    const long = { exif: text(65_001), xmp: text(60_001) };
    expect(kept('jpeg', long)).toEqual({
      result: undefined,
      warnings: [
        'EXIF is left out: 65001 bytes are more than 65000',
        'XMP is left out: a JPEG holds at most 60000 bytes of it, not 60001',
      ],
    });
    const { result, warnings } = kept('webp', long);
    expect(result).toEqual({ xmp: long.xmp });
    expect(warnings).toEqual(['EXIF is left out: 65001 bytes are more than 65000']);
  });

  it('leaves out what a format has no place for', () => {
    const metadata = { exif: text(9), xmp: text(9) };
    expect(kept('tiff', metadata)).toEqual({
      result: { xmp: metadata.xmp },
      warnings: ['EXIF is left out: it is not written into a TIFF; write PNG, JPEG, WebP or AVIF'],
    });
    expect(kept('raw', metadata)).toEqual({
      result: undefined,
      warnings: [
        'EXIF is left out: raw samples have no place for it',
        'XMP is left out: raw samples have no place for it',
      ],
    });
  });

  it('leaves out XMP in UTF-16, which would end at its first zero', () => {
    const { result, warnings } = kept('png', { xmp: Buffer.from('<x:xmpmeta/>', 'utf16le') });
    expect(result).toBeUndefined();
    expect(warnings).toEqual(['XMP is left out: it is not in UTF-8']);
  });

  it('refuses what are no bytes, and names it', () => {
    for (const [metadata, message] of [
      [{ exif: 'II*' }, 'metadata.exif: expected a Uint8Array but received "II*"'],
      [{ xmp: '<x/>' }, 'metadata.xmp: expected a Uint8Array but received "<x/>"'],
      ['exif', 'metadata: expected an object but received "exif"'],
    ] as const) {
      const call = () => kept('png', metadata as unknown as KeptMetadata);
      expect(call).toThrow(RequestError);
      expect(call).toThrow(message);
    }
  });
});
