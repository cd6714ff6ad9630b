import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import { RepeatedLines } from '../repeated-lines.ts';
import { openDiskStore } from './disk-store.ts';
import { openRedisStore } from './redis-store.ts';
import type { StoreEvents, TileStore } from './tile-store.ts';

/** Opens the tile stores of the settings, the fastest first. Failures are counted and logged. */
export async function openStores(config: Config, metrics: Metrics, log: Logger): Promise<TileStore[]> {
  const lines = new RepeatedLines(log);
  const storeEvents: StoreEvents = {
    onChange: (store, healthy, reason) => {
      if (healthy) log.info({ store }, 'tile store works again');
      else {
        metrics.storeProblems.inc({ cache: store, kind: 'failure' });
        log.warn({ store, reason }, 'tile store failed; going on without it');
      }
    },
    onCorrupt: (store) => {
      metrics.storeProblems.inc({ cache: store, kind: 'corrupt' });
      lines.write('warn', store, { store }, 'corrupt entry in the tile store');
    },
  };
  const stores: TileStore[] = [];
  if (config.redis !== undefined)
    stores.push(
      await openRedisStore({ url: config.redis, ttlSeconds: config.redisTtlSeconds, ...storeEvents }),
    );
  if (config.diskCache !== undefined)
    stores.push(
      await openDiskStore({
        directory: config.diskCache,
        maxBytes: config.diskCacheMb * 2 ** 20,
        ...storeEvents,
      }),
    );
  return stores;
}
