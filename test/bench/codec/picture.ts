import { decodeImage } from '../../../src/decode.ts';
import { encodeImage } from '../../../src/encode.ts';
import type { Engine, FeatureMap, Patch } from '../../../src/engine/engine.ts';
import { sampleAxis } from '../../../src/head/query.ts';
import { toRational } from '../../../src/head/rational.ts';
import type { Raster } from '../../../src/image/raster.ts';
import type { Conv, Layer } from '../../../src/network/model.ts';
import { latentWindow } from '../../../src/network/window.ts';
import { randomSource } from '../../fixtures/tiny-model.ts';
import type { Figure } from '../figures.ts';
import { table } from '../table.ts';
import { timeInTurn } from '../timing.ts';

const DECODE_BAR = 0.25;
const ENCODE_BAR = 0.4;
const HEAD_BAR = 25;
const HEAD_SCALE = 4;
const QUALITY = 60;

type Stage = 'analyze' | 'encodeChunk' | 'decodeChunk' | 'features' | 'pixels';
const STAGES: Readonly<Record<Stage, string>> = {
  analyze: 'analysis network',
  encodeChunk: 'prior, rounding and entropy coding',
  decodeChunk: 'prior and entropy decoding',
  features: 'synthesis network',
  pixels: 'head',
};

/** Times of encoding and decoding a picture, warm, of the fastest call, and the share of each stage. */
export async function benchPicture(
  engine: Engine,
  raster: Raster,
  seconds: number,
): Promise<{ report: string[]; figures: Figure[] }> {
  const bytes = await encodeImage(engine, raster, { quality: QUALITY });
  const settings = { seconds, minRuns: 3, warmUps: 2 };
  const watched = watch(engine);
  const encode = async () => {
    watched.begin();
    await encodeImage(watched.engine, raster, { quality: QUALITY });
    watched.end('encode');
  };
  const decode = async () => {
    watched.begin();
    await decodeImage(bytes, { engine: watched.engine });
    watched.end('decode');
  };
  const [encodeTime, decodeTime] = await timeInTurn([encode, decode], settings);
  const { width, height } = raster;
  const size = `${width} x ${height}`;
  const figures: Figure[] = [
    { name: `encode ${size}`, value: watched.best('encode').seconds, unit: 's', atMost: ENCODE_BAR },
    { name: `decode ${size}`, value: watched.best('decode').seconds, unit: 's', atMost: DECODE_BAR },
  ];
  const rows: string[][] = [];
  for (const [call, timing] of [
    ['encode', encodeTime!],
    ['decode', decodeTime!],
  ] as const) {
    const busy = watched.best(call);
    const sum = Object.values(busy.stages).reduce((a, b) => a + b, 0);
    for (const [stage, spent] of Object.entries(busy.stages)) {
      const macs = (macsOf(engine, stage as Stage) * width * height) / 1e9;
      rows.push([
        call,
        STAGES[stage as Stage],
        (1000 * spent).toFixed(1),
        `${((100 * spent) / busy.seconds).toFixed(0)} %`,
        macs > 0 ? (macs / spent).toFixed(0) : '',
      ]);
      figures.push({
        name: `${call}: ${STAGES[stage as Stage]}`,
        value: spent / busy.seconds,
        unit: 'of the time',
      });
    }
    rows.push([
      call,
      'the rest (padding, cutting, file)',
      (1000 * (busy.seconds - sum)).toFixed(1),
      `${((100 * (busy.seconds - sum)) / busy.seconds).toFixed(0)} %`,
      '',
    ]);
    rows.push([
      call,
      `whole (mean ${(1000 * timing.mean).toFixed(0)} ± ${(1000 * timing.deviation).toFixed(0)} ms of ${timing.runs})`,
      (1000 * busy.seconds).toFixed(1),
      '100 %',
      '',
    ]);
  }
  return {
    report: [
      `${size} at quality ${QUALITY} (${bytes.length} bytes), warm, engine ${engine.name}, ${engine.threads} threads; fastest call. A stage's time is that during which it was under way.`,
      '',
      ...table(['call', 'stage', 'ms', 'share', 'GMAC/s'], rows),
    ],
    figures,
  };
}

/** Speed of the head alone on an engine of one thread: pixels of an enlargement from decoded features. */
export async function benchHead(
  engine: Engine,
  sites: number,
  seconds: number,
): Promise<{ report: string[]; figures: Figure[] }> {
  const features = await someFeatures(engine, sites);
  const out = sites * HEAD_SCALE;
  const axis = sampleAxis(toRational(0), toRational(sites), out, 1n, sites);
  const [timing] = await timeInTurn(
    [() => engine.pixels(features, [{ rows: axis, columns: axis, depth: 8 }])],
    { seconds, minRuns: 3, warmUps: 2 },
  );
  features.close();
  const speed = (out * out) / 1e6 / timing!.min;
  return {
    report: [
      `Head at scale ${HEAD_SCALE}, ${out} x ${out} pixels from ${sites} x ${sites} sites, ${engine.threads} thread: ${speed.toFixed(1)} Mpixel/s (mean ${((out * out) / 1e6 / timing!.mean).toFixed(1)}).`,
    ],
    figures: [
      {
        name: `head at scale ${HEAD_SCALE}, one thread`,
        value: speed,
        unit: 'Mpixel/s',
        atLeast: HEAD_BAR,
      },
    ],
  };
}

/** Features of random latents. */
async function someFeatures(engine: Engine, sites: number): Promise<FeatureMap> {
  const { model } = engine;
  const side = Math.ceil(sites / model.latentStride);
  const level = { height: side, width: side };
  const rect = { top: 0, left: 0, height: sites, width: sites };
  const window = latentWindow(model, rect, level);
  const random = randomSource(3);
  const latents: Patch = {
    rect: window,
    channels: model.latentChannels,
    data: Int16Array.from(
      { length: window.height * window.width * model.latentChannels },
      () => (random() - 0.5) * 1000,
    ),
  };
  return engine.features(latents, level, rect, QUALITY);
}

interface Busy {
  readonly seconds: number;
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
}

/**
 * The same engine, whose calls are timed: of calls that overlap each moment counts once for each stage,
 * divided among the stages under way.
 */
function watch(engine: Engine): {
  readonly engine: Engine;
  begin(): void;
  end(call: string): void;
  best(call: string): Busy;
} {
  let stages: Partial<Record<Stage, number>> = {};
  let start = 0;
  let last = 0;
  const running = new Map<Stage, number>();
  const best = new Map<string, Busy>();
  const account = () => {
    const now = performance.now();
    const under = [...running].filter(([, count]) => count > 0);
    for (const [stage] of under) stages[stage] = (stages[stage] ?? 0) + (now - last) / 1000 / under.length;
    last = now;
  };
  const timed =
    <A extends unknown[], R>(stage: Stage, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      account();
      running.set(stage, (running.get(stage) ?? 0) + 1);
      try {
        return await call(...args);
      } finally {
        account();
        running.set(stage, running.get(stage)! - 1);
      }
    };
  return {
    engine: {
      name: engine.name,
      exact: engine.exact,
      model: engine.model,
      threads: engine.threads,
      analyze: timed('analyze', engine.analyze.bind(engine)),
      encodeChunk: timed('encodeChunk', engine.encodeChunk.bind(engine)),
      decodeChunk: timed('decodeChunk', engine.decodeChunk.bind(engine)),
      features: timed('features', engine.features.bind(engine)),
      pixels: timed('pixels', engine.pixels.bind(engine)),
      // Pictures are not optimized here.
      gradient: engine.gradient.bind(engine),
      backpropagate: engine.backpropagate.bind(engine),
      close: () => engine.close(),
    },
    begin() {
      stages = {};
      start = performance.now();
      last = start;
    },
    end(call) {
      const seconds = (performance.now() - start) / 1000;
      if (seconds < (best.get(call)?.seconds ?? Number.POSITIVE_INFINITY))
        best.set(call, { seconds, stages });
    },
    best: (call) => best.get(call)!,
  };
}

/**
 * Multiply-accumulates per picture pixel of the networks of a stage, without halos; 0 for stages that other
 * work dominates.
 */
function macsOf({ model }: Engine, stage: Stage): number {
  if (stage === 'analyze') return macsOfLayers(model.analysis, 1);
  if (stage === 'features') return macsOfLayers(model.synthesis, model.latentStride);
  return 0;
}

/** `reduction`: side of a site of the first layer's input, in picture pixels. */
function macsOfLayers(layers: readonly Layer[], reduction: number): number {
  let side = reduction;
  let sum = 0;
  const count = ({ kernel, inputs, outputs }: Conv) => (kernel * kernel * inputs * outputs) / (side * side);
  for (const layer of layers) {
    if (layer.op === 'unshuffle') side *= layer.factor;
    else if (layer.op === 'shuffle') side /= layer.factor;
    else if (layer.op === 'conv') sum += count(layer);
    else if (layer.op === 'residual') sum += count(layer.first) + count(layer.second);
  }
  return sum;
}
