import { VERSION } from '../../../version.ts';

const text = (description: string, type = 'string') => ({ description, schema: { type } });
const path = (name: string, description: string, type = 'string') => ({
  name,
  in: 'path',
  required: true,
  ...text(description, type),
});
const query = (name: string, description: string) => ({
  name,
  in: 'query',
  required: false,
  ...text(description),
});
const id = path(
  'id',
  'Id of a picture, percent-encoded (`/` as `%2F`); `@64x` after it means a virtual canvas 64 times as large.',
);
const job = path('job', 'Id of the job.');
const version = query('v', 'Version of the picture; with the current one, answers may be cached for ever.');
const problem = {
  description: 'What is wrong, as RFC 9457 has it.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const busy = {
  ...problem,
  description: 'The server is busy; try again after the time that Retry-After tells.',
  headers: { 'Retry-After': { schema: { type: 'integer' } } },
};
/** Answers that every address may give, before it is looked at. */
const ofServer = {
  '421': { ...problem, description: 'The server does not answer for that host.' },
  '503': busy,
};
const errors = { '400': problem, '404': problem, '414': problem, ...ofServer };
/** Failures of addresses of a picture, which may be remote. */
const ofPicture = {
  ...errors,
  '403': { ...problem, description: 'The picture is at a remote to whose address the server does not go.' },
  '500': { ...problem, description: 'The file of the picture is damaged.' },
  '501': { ...problem, description: 'The picture needs a model or a version that the server does not have.' },
  '502': { ...problem, description: 'The remote that has the picture fails, or its file cannot be read.' },
  '504': { ...problem, description: 'The remote that has the picture does not answer in time.' },
};
const unchanged = { '304': { description: 'What the client has is still the same.' } };
const imageOf = (types: readonly string[]) => ({
  '200': {
    description: 'The image.',
    headers: {
      ETag: { schema: { type: 'string' } },
      'Picture-Version': {
        description: 'Version of the picture that it was made of, whatever `v` said.',
        schema: { type: 'string' },
      },
      'Server-Timing': { schema: { type: 'string' } },
    },
    content: Object.fromEntries(
      types.map((type) => [`image/${type}`, { schema: { type: 'string', format: 'binary' } }]),
    ),
  },
  ...unchanged,
  '413': { ...problem, description: 'It is more than the server ever computes for one request.' },
  ...ofPicture,
});
const tile = imageOf(['png', 'jpeg', 'webp', 'avif']);
const iiifImage = imageOf(['png', 'jpeg', 'webp', 'avif', 'tiff', 'gif']);
const json = (description: string, ...others: readonly string[]) => ({
  '200': {
    description,
    content: Object.fromEntries(
      ['application/json', ...others].map((type) => [type, { schema: { type: 'object' } }]),
    ),
  },
});
const description = (what: string, ...others: readonly string[]) => ({
  ...json(what, ...others),
  ...unchanged,
  ...ofPicture,
});
const iiifInfo = description('info.json, of the type that Accept prefers.', 'application/ld+json');
const iiifManifest = description('The manifest, of the type that Accept prefers.', 'application/ld+json');
const redirect = {
  '303': { description: 'To info.json.', headers: { Location: { schema: { type: 'string' } } } },
  ...ofPicture,
};
const bytes = (description: string, type: string) => ({
  description,
  content: { [type]: { schema: { type: 'string', format: 'binary' } } },
});
/** A file with ranges. */
const file = (type: string) => ({
  '200': bytes('The file.', type),
  '206': bytes('A range.', type),
  ...unchanged,
  '412': { ...problem, description: 'The file is not the one that If-Match names.' },
  '416': problem,
});
const alive = {
  '200': {
    description: 'The process lives.',
    content: { 'application/json': { schema: { type: 'object' } } },
  },
};
const ready = {
  '200': { ...alive['200'], description: 'Requests should be sent here.' },
  '503': {
    ...alive['200'],
    description: 'Requests should not be sent here: the server is not ready yet, or is stopping.',
  },
};
const get = (summary: string, parameters: readonly object[], responses: object) => ({
  get: { summary, parameters, responses },
});
const iiifParts = ['region', 'size', 'rotation', 'quality', 'format'].map((name) =>
  path(name, 'As the IIIF Image API defines it.'),
);
const iiifPaths = (folder: string, api: string) => ({
  [`/iiif/${folder}/{id}`]: get(`IIIF Image API ${api}: base of a picture`, [id], redirect),
  [`/iiif/${folder}/{id}/info.json`]: get(`IIIF Image API ${api}: information`, [id], iiifInfo),
  [`/iiif/${folder}/{id}/{region}/{size}/{rotation}/{quality}.{format}`]: get(
    `IIIF Image API ${api}: image`,
    [id, ...iiifParts, version],
    iiifImage,
  ),
});

/** Every address of the server. A test asks for each. */
export function openApiDocument(server: string): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'liif serve',
      version: VERSION,
      description:
        'Tiles and regions of .liif pictures and plain images, decoded on demand at any scale. Methods that an address does not have are answered with 405 and Allow.',
    },
    servers: [{ url: server }],
    paths: {
      '/api/images': {
        ...get(
          'The pictures of this server',
          [
            query('q', 'A part of their names, in whatever case.'),
            query('offset', 'Pictures to leave out.'),
            query('limit', 'Most pictures to list.'),
          ],
          { ...json('The list.'), ...unchanged, ...errors },
        ),
        post: {
          summary: 'Encode an image (where uploads are allowed)',
          parameters: [
            query('name', 'Name of the new picture.'),
            query('quality', 'Quality of encoding, 1 to 100.'),
          ],
          requestBody: {
            content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
          },
          responses: {
            '202': {
              description: 'The job.',
              content: { 'application/json': { schema: { type: 'object' } } },
            },
            '403': { ...problem, description: 'Pages of other sites may not upload.' },
            '405': { ...problem, description: 'Uploads are not allowed.' },
            '408': {
              ...problem,
              description:
                'Nothing of the body has come for 30 s, or after the first minute less than 4 kB/s.',
            },
            '413': problem,
            '415': problem,
            ...errors,
          },
        },
      },
      '/api/images/{id}': get('One picture', [id], description('Size, version and addresses of a picture.')),
      '/api/jobs/{job}': {
        ...get('How far an encoding is; with Accept: text/event-stream, as events', [job], {
          '200': {
            description: 'State of the job.',
            content: {
              'application/json': { schema: { type: 'object' } },
              'text/event-stream': { schema: { type: 'string' } },
            },
          },
          ...errors,
        }),
        delete: {
          summary: 'Give up an encoding that is not done yet (where uploads are allowed)',
          parameters: [job],
          responses: {
            '204': { description: 'It is given up.' },
            '403': problem,
            '404': problem,
            '409': { ...problem, description: 'The picture is there already.' },
            ...ofServer,
          },
        },
      },
      '/{id}/{z}/{x}/{y}.{format}': get(
        'A tile of 256 x 256 pixels; with @2x, @3x or @4x after y, of 512, 768 or 1024',
        [
          id,
          path(
            'z',
            'Zoom, 0 to 1024: 0 shows all of the picture in one tile, each step doubles it.',
            'integer',
          ),
          path('x', 'Column, of any number of digits.'),
          path('y', 'Row, of any number of digits.'),
          path('format', 'png, jpg, webp or avif.'),
          query(
            'method',
            '`bicubic`: plain enlargement of the native pixels, for comparison; where the tile has more pixels than the picture.',
          ),
          version,
        ],
        tile,
      ),
      '/{id}/tilejson.json': get(
        'TileJSON 3.0',
        [id, query('format', 'Format of the tiles.')],
        description('TileJSON.'),
      ),
      '/{id}/file': get('The .liif itself, ranges allowed', [id, version], {
        ...file('image/x-liif'),
        ...ofPicture,
      }),
      '/{id}/pixel': get(
        'One pixel; with fractions, the synthesized value at a point',
        [id, query('x', 'From the left, in pixels.'), query('y', 'From the top, in pixels.')],
        description('Its value.'),
      ),
      '/model/models.json': get('Models of one’s own', [], json('The list.')),
      '/model/{file}': get(
        'Weights of a model, for clients that decode by themselves; ranges allowed, but of `.part`',
        [
          path(
            'file',
            '`liif-1.safetensors`, a file of the list, or `.part` after a decoder hash: what decoding needs, by gzip.',
          ),
        ],
        { ...file('application/octet-stream'), ...errors },
      ),
      ...iiifPaths('3', '3.0'),
      '/iiif/3/{id}/manifest.json': get(
        'IIIF Presentation API 3.0: manifest of one picture, for viewers such as Mirador',
        [id],
        iiifManifest,
      ),
      ...iiifPaths('2', '2.1'),
      '/dzi/{id}.dzi': get('Deep Zoom: descriptor', [id, query('format', 'Format of the tiles.')], {
        '200': { description: 'XML.', content: { 'application/xml': { schema: { type: 'string' } } } },
        ...unchanged,
        ...ofPicture,
      }),
      '/dzi/{id}_files/{level}/{column}_{row}.{format}': get(
        'Deep Zoom: tile',
        [
          id,
          path('level', 'Level; 0 is one pixel.', 'integer'),
          path('column', 'Column.', 'integer'),
          path('row', 'Row.', 'integer'),
          path('format', 'png, jpg, webp or avif.'),
          version,
        ],
        tile,
      ),
      '/health': get('Whether the process lives; never refused. Also on the health port', [], alive),
      '/ready': get(
        'Whether requests should be sent here; never refused. Also on the health port',
        [],
        ready,
      ),
      '/metrics': get('Prometheus metrics', [], {
        '200': { description: 'Metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
        '404': { ...problem, description: 'They are switched off.' },
      }),
      '/openapi.json': get('This document', [], { ...json('OpenAPI 3.1.'), ...unchanged, ...ofServer }),
    },
    components: {
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'detail'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            instance: { type: 'string' },
          },
        },
      },
    },
  };
}
