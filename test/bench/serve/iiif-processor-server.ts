import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import { Processor } from 'iiif-processor';

// iiif-processor behind Express, as in its guide: a pyramid TIFF, read as a stream.
const [directory, port] = process.argv.slice(2) as [string, string];
const app = express();
app.disable('etag');
app.use(async (request, response) => {
  const processor = new Processor(
    `http://127.0.0.1:${port}${request.url}`,
    async ({ id }: { id: string }) => createReadStream(join(directory, id)),
    {},
  );
  const result = (await processor.execute()) as unknown as { contentType: string; body: Buffer | string };
  response.set('Content-Type', result.contentType).end(result.body);
});
app.listen(Number(port), '127.0.0.1');
