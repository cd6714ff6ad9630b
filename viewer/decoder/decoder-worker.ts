import { take } from './decoder.ts';
import type { ToDecoder } from './decoder-messages.ts';
import { trustOwnScripts } from './trusted-types.ts';

trustOwnScripts();
addEventListener('message', ({ data }: MessageEvent<ToDecoder>) => void take(data));
