import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../../../src/engine/wasm/threads/node-host.ts';
import { openWasmEngine } from '../../../src/engine/wasm/wasm-engine.ts';
import { root } from '../../built.ts';
import { runEngineTests } from '../conformance.ts';

describe.each([0, 3])('wasm on %i threads', (threads) => {
  runEngineTests({ openEngine: (model) => openWasmEngine(model, { host: nodeHost, threads }) });
});

it('keeps the process until a thread that was told to end has ended, though an answer comes late', async () => {
  const life = fileURLToPath(new URL('../../fixtures/thread-life.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', life], { cwd: root, stdio: 'inherit' });
  expect(await once(child, 'close')).toEqual([6, null]);
});
