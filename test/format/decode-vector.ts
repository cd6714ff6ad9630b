import { createHash } from 'node:crypto';
import { chunkExtent, chunkList, latentExtent, planeCount } from '../../src/container/chunks.ts';
import { openImage } from '../../src/decode.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { exact, type RenderedQuery, type TensorDigest, type ValidVector } from './vector-files.ts';

/** The expectations of a vector. */
export type VectorFindings = Pick<ValidVector, 'header' | 'latents' | 'sites' | 'sectionDigests' | 'queries'>;

export function expectedFindings(vector: ValidVector): VectorFindings {
  const { header, latents, sites, sectionDigests, queries } = vector;
  return { header, latents, sites, sectionDigests, queries };
}

/**
 * What this decoder finds in the file of a vector with `engine`, in the form of the expectations. Digests
 * cover every latent, site and pixel.
 */
export async function decodeVector(vector: ValidVector, engine: Engine): Promise<VectorFindings> {
  const image = await openImage(vector.bytes, { engine, featureCacheBytes: 2 ** 26 });
  const { header, reader } = image;
  const latents: TensorDigest[] = [];
  const sites: TensorDigest[] = [];
  const channels = engine.model.latentChannels;
  for (let level = 0; level < header.levels; level++) {
    for (let plane = 0; plane < planeCount(header); plane++) {
      const extent = latentExtent(header, level);
      const data = await allLatents(reader, engine, level, plane);
      latents.push({ level, plane, shape: [extent.height, extent.width, channels], sha256: sha256(data) });
      const rect = { top: 0, left: 0, height: extent.height * 16, width: extent.width * 16 };
      const map = await engine.features(
        { rect: { top: 0, left: 0, ...extent }, channels, data },
        extent,
        rect,
        header.quality,
      );
      const shape = [rect.height, rect.width, engine.model.head.hidden] as const;
      sites.push({ level, plane, shape, sha256: sha256(await map.read()) });
      map.close();
    }
  }

  const sectionDigests: Record<string, string> = {};
  for (const type of Object.keys(vector.sectionDigests))
    sectionDigests[type] = sha256((await reader.readSection(type))!);

  const queries: RenderedQuery[] = [];
  for (const query of vector.queries) {
    const [x, y, width, height] = query.region.map(exact) as [never, never, never, never];
    const raster = await image.render({
      region: { x, y, width, height },
      width: query.size[0],
      height: query.size[1],
      depth: query.depth,
      allowOutside: true,
    });
    const pixels = query.pixels.map(([column, row]) => {
      const at = (row! * raster.width + column!) * raster.channels;
      return [column!, row!, ...raster.data.subarray(at, at + raster.channels)];
    });
    queries.push({ ...query, channels: raster.channels, sha256: sha256(raster.data), pixels });
  }
  await image.close();
  return {
    header: {
      ...header,
      model: Buffer.from(header.model).toString('hex'),
      sections: header.sections.map(({ type, length, crc }) => [type, length, crc]),
    },
    latents,
    sites,
    sectionDigests,
    queries,
  };
}

/** Latents of a whole level and plane, (H,W,C): those of all its chunks, joined. */
async function allLatents(reader: Reader, engine: Engine, level: number, plane: number): Promise<Int16Array> {
  const { header } = reader;
  const { height, width } = latentExtent(header, level);
  const channels = engine.model.latentChannels;
  const latents = new Int16Array(height * width * channels);
  for (const id of chunkList(header)) {
    if (id.level !== level || id.plane !== plane) continue;
    const extent = chunkExtent(header, id);
    const chunk = await engine.decodeChunk(await reader.readChunk(id), extent, header.quality);
    const length = extent.width * channels;
    for (let y = 0; y < extent.height; y++) {
      const row = id.row * header.chunkSize + y;
      latents.set(
        chunk.subarray(y * length, (y + 1) * length),
        (row * width + id.column * header.chunkSize) * channels,
      );
    }
  }
  return latents;
}

function sha256(data: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}
