import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { iiifManifest } from '../../../src/server/protocols/iiif-manifest.ts';
import { directoryOf, encoded, imageOf, picture, startServer } from '../server-fixture.ts';

const CONTEXT = 'http://iiif.io/api/presentation/3/context.json';
const directory = await directoryOf({
  'maps/old town.liif': await encoded(picture(600, 420)),
  'seal.png': await imageOf(picture(40, 90, 4))
    .png()
    .toBuffer(),
  'api.png': await imageOf(picture(30, 20)).png().toBuffer(),
});
const server = await startServer({ roots: [directory], maxOutputArea: 100_000 });
const base = server.localUrl.replace(/\/$/, '');
/** The only image of a manifest. */
const bodyOf = (manifest: ReturnType<typeof JSON.parse>) => manifest.items[0].items[0].items[0].body;

describe('the manifest of a picture', () => {
  it('has one canvas of its size, on which its image service is painted', async () => {
    const service = `${base}/iiif/3/maps%2Fold%20town`;
    const id = `${service}/manifest.json`;
    const answer = await server.get('/iiif/3/maps%2Fold%20town/manifest.json');
    expect(answer.status).toBe(200);
    const image = {
      type: 'Image',
      format: 'image/jpeg',
      service: [{ id: service, type: 'ImageService3', profile: 'level2' }],
    };
    expect(answer.json()).toEqual({
      '@context': CONTEXT,
      id,
      type: 'Manifest',
      label: { none: ['old town'] },
      thumbnail: [{ id: `${service}/full/320,224/0/default.jpg`, width: 320, height: 224, ...image }],
      items: [
        {
          id: `${id}/canvas`,
          type: 'Canvas',
          width: 600,
          height: 420,
          items: [
            {
              id: `${id}/page`,
              type: 'AnnotationPage',
              items: [
                {
                  id: `${id}/annotation`,
                  type: 'Annotation',
                  motivation: 'painting',
                  target: `${id}/canvas`,
                  // 600 x 420 is more than this server gives at once.
                  body: { id: `${service}/full/300,210/0/default.jpg`, width: 300, height: 210, ...image },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it.each([
    'maps%2Fold%20town',
    'maps/old%20town',
    'maps%2Fold%20town@64x',
    'seal.png',
    'api.png',
    '%61pi.png',
  ])('of %s names images and a service that answer', async (path) => {
    const manifest = (await server.get(`/iiif/3/${path}/manifest.json`)).json();
    const [thumbnail] = manifest.thumbnail;
    for (const image of [thumbnail, bodyOf(manifest)]) {
      const { body, headers } = await server.get(image.id.slice(base.length));
      expect(headers['content-type']).toBe(image.format);
      const { width, height } = await sharp(body).metadata();
      expect([width, height]).toEqual([image.width, image.height]);
    }
    const [service] = bodyOf(manifest).service;
    const info = (await server.get(`${service.id.slice(base.length)}/info.json`)).json();
    expect([info.id, info.type, info.profile]).toEqual([service.id, service.type, service.profile]);
    const [{ width, height }] = manifest.items;
    expect([width, height]).toEqual([info.width, info.height]);
  });

  it('keeps alpha in its images', async () => {
    const manifest = (await server.get('/iiif/3/seal.png/manifest.json')).json();
    expect(bodyOf(manifest).id).toMatch(/full\/max\/0\/default\.png$/);
    expect(manifest.thumbnail[0]).toMatchObject({ format: 'image/png', width: 40, height: 90 });
  });

  it('names an image of what is too large to be given whole in any size', () => {
    const canvas = { picture: { width: 60_000, height: 40_000 }, factor: 1 };
    const limits = { maxWidth: 1000, maxHeight: 1000, maxArea: 1e6 };
    const manifest = iiifManifest('http://h/iiif/3/a', 'a', canvas, limits, { served: () => false });
    expect(bodyOf(manifest)).toMatchObject({ id: 'http://h/iiif/3/a/full/max/0/default.jpg', width: 1000 });
  });

  it('is for pages of any origin, of the type that they prefer, and checked by its ETag', async () => {
    const asked = (headers = {}) => server.get('/iiif/3/seal.png/manifest.json', { headers });
    const { headers } = await asked();
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'no-cache',
      'content-type': `application/ld+json;profile="${CONTEXT}"`,
    });
    expect(headers.vary).toContain('Accept');
    expect((await asked({ 'if-none-match': headers.etag! })).status).toBe(304);
    const plain = await asked({ accept: 'application/json' });
    expect(plain.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(plain.headers.link).toContain(`<${CONTEXT}>;rel="http://www.w3.org/ns/json-ld#context"`);
  });

  it('has the public address where there is one, and is none of a picture that is not there', async () => {
    const other = await startServer({ roots: [directory], publicUrl: 'https://pictures.example.org/all/' });
    const manifest = (await other.get('/iiif/3/seal.png/manifest.json')).json();
    expect(manifest.id).toBe('https://pictures.example.org/all/iiif/3/seal.png/manifest.json');
    for (const path of ['/iiif/3/none/manifest.json', '/iiif/2/seal.png/manifest.json'])
      expect((await other.get(path)).status).toBe(404);
  });
});
