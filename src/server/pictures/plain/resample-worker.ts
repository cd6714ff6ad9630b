import { parentPort } from 'node:worker_threads';
import { resample } from './resample.ts';
import type { ResampleTask } from './resample-pool.ts';

// Messages in: one task at a time. Messages out: its raster, or an error message.
parentPort?.on('message', ({ source, reduction, query }: ResampleTask) => {
  try {
    const raster = resample(source, reduction, query);
    parentPort?.postMessage({ raster }, [raster.data.buffer as ArrayBuffer]);
  } catch (error) {
    parentPort?.postMessage({ error: String(error) });
  }
});
