/** The tile server: `createApp` for an Express of one's own, `serve` to listen. */
export type { AppOptions, LiifApp } from './app.ts';
export { createApp } from './app.ts';
export type { Config, ConfigInput } from './config.ts';
export { configSchema } from './config.ts';
export { readConfig } from './read-config.ts';
export type { RunningServer } from './serve.ts';
export { serve } from './serve.ts';
