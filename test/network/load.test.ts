import { describe, expect, it } from 'vitest';
import { FormatError, UnsupportedError } from '../../src/errors.ts';
import { hashModel, loadModel, parseModel } from '../../src/network/load.ts';
import type { Conv } from '../../src/network/model.ts';
import { type ModelParts, tinyModelBytes, tinyModelParts, writeSafetensors } from '../fixtures/tiny-model.ts';

const load = (change: (parts: ModelParts) => void) => loadModel(tinyModelBytes({ change }));

describe('a valid model', () => {
  it('comes out with what the file says', async () => {
    const bytes = tinyModelBytes({ latentChannels: 64, hyperChannels: 16, priorChannels: 24, hidden: 24 });
    const model = await loadModel(bytes);
    expect(model).toMatchObject({
      name: 'tiny-1',
      qualities: 100,
      latentChannels: 64,
      hyperChannels: 16,
      priorChannels: 24,
      imageShift: 3,
    });
    expect(model.hash).toBe(await hashModel(bytes));
    expect(model.head.hidden).toBe(24);
    expect(model.prior).toHaveLength(4);
    expect(model.prior[1]!.trunk[0]).toMatchObject({ op: 'conv', kernel: 3, inputs: 88 });
    expect(model.synthesis.map((layer) => layer.op)).toEqual(
      'row residual conv shuffle residual conv shuffle residual conv shuffle conv'.split(' '),
    );
  });

  it('has the tensors of the file, wherever they lie in it', async () => {
    const parts = tinyModelParts();
    const first = await loadModel(tinyModelBytes());
    const conv = first.analysis[1] as Conv;
    expect(conv.weight).toEqual(parts.tensors.get('analysis.0.weight')!.data);
    expect(conv.bias).toEqual(parts.tensors.get('analysis.0.bias')!.data);
    const odd = new Uint8Array(tinyModelBytes().length + 3);
    odd.set(tinyModelBytes(), 3);
    expect((await loadModel(odd.subarray(3))).synthesis).toEqual(first.synthesis);
    expect((await loadModel(Buffer.from(tinyModelBytes()))).synthesis).toEqual(first.synthesis);
  });

  it('is the same file for the same seed, and another for another', () => {
    expect(tinyModelBytes({ seed: 7 })).toEqual(tinyModelBytes({ seed: 7 }));
    expect(tinyModelBytes({ seed: 7 })).not.toEqual(tinyModelBytes({ seed: 8 }));
  });

  it('may have keys that version 1 does not know', async () => {
    const model = await load(({ graph }) => {
      graph.provenance = { steps: 1 };
      graph.synthesis[1].first.exponent = 9;
      graph.own = JSON.parse('['.repeat(99) + ']'.repeat(99));
    });
    expect(model.name).toBe('tiny-1');
  });
});

describe('a file that is refused', () => {
  it('is told of in a line that can be read, whatever it says', () => {
    const long = 'x'.repeat(300_000);
    const many = new Array(200_001).fill(1);
    const changes: ((parts: ModelParts) => void)[] = [
      ({ metadata }) => (metadata.format = long),
      ({ metadata }) => (metadata.version = long),
      ({ metadata }) => (metadata.name = long),
      ({ metadata }) => (metadata.hash = long),
      ({ graph }) => (graph.qualities = long),
      ({ graph }) => (graph.qualities = many),
      ({ graph }) => (graph.synthesis[0].op = long),
      ({ graph }) => (graph.synthesis[0].row = long),
      ({ graph }) => (graph.synthesis[0].row = many),
      ({ graph }) => (graph.synthesis[1].first.leaky = long),
    ];
    const files = changes.map((change) => tinyModelBytes({ change }));
    const tensor = { dtype: 'I16', shape: [1], data_offsets: [0, 2] };
    for (const header of [
      { a: { ...tensor, data_offsets: many } },
      { a: { ...tensor, dtype: long } },
      { a: { ...tensor, dtype: many } },
      { [long]: tensor },
      { __metadata__: { [long]: 5 } },
    ])
      files.push(writeSafetensors({ __metadata__: {}, ...header }, [new Uint8Array(2)]));
    for (const [i, bytes] of files.entries()) {
      let message = '';
      try {
        parseModel(bytes);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message, `file ${i}`).toMatch(/^(model at byte 8|model of version).{1,220}$/);
    }
  });

  it('ends somewhere before its end', () => {
    const bytes = tinyModelBytes();
    for (let length = 0; length < bytes.length; length += length < 64 ? 1 : 4099) {
      expect(() => parseModel(bytes.slice(0, length)), `${length} bytes`).toThrow(FormatError);
    }
  });

  it('has bytes behind its last tensor', () => {
    const bytes = tinyModelBytes();
    const longer = new Uint8Array(bytes.length + 2);
    longer.set(bytes);
    expect(() => parseModel(longer)).toThrow(/data section/);
  });

  it('says a header length beyond the file, up to 2^64 - 1', () => {
    const bytes = tinyModelBytes();
    bytes.fill(255, 0, 8);
    expect(() => parseModel(bytes)).toThrow(/a header of 18446744073709551615 bytes/);
  });

  it('has a listing of more than 2^20 bytes, which would take many times as much to read', () => {
    const bytes = tinyModelBytes();
    const longer = (size: number) => {
      const listing = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const result = new Uint8Array(bytes.length + size - listing).fill(0x20);
      result.set(bytes.subarray(0, 8 + listing));
      new DataView(result.buffer).setBigUint64(0, BigInt(size), true);
      result.set(bytes.subarray(8 + listing), 8 + size);
      return result;
    };
    expect(parseModel(longer(2 ** 20)).name).toBe('tiny-1');
    expect(() => parseModel(longer(2 ** 20 + 1))).toThrow(/a header of 1048577 bytes/);
  });

  it('lists a tensor as safetensors does not, or under a name that is too long', () => {
    const tensor = { dtype: 'I16', shape: [1], data_offsets: [0, 2] };
    const listing = (header: object) => () =>
      parseModel(writeSafetensors({ __metadata__: {}, ...header }, [new Uint8Array(2)]));
    expect(listing({ a: { ...tensor, shape: [] } })).toThrow(/tensor a: 0 dimensions/);
    for (const offsets of [[0, 2, 2], [0, 4], [1, 2], [0]])
      expect(listing({ a: { ...tensor, data_offsets: offsets } })).toThrow(
        `tensor a: expected data_offsets [0,2] but received ${JSON.stringify(offsets)}`,
      );
    expect(listing({ ['x'.repeat(129)]: tensor })).toThrow(/tensor name/);
    expect(listing({ ['x'.repeat(128)]: tensor })).toThrow(/expected format/);
  });

  it('is not JSON where JSON should be, or not an object', () => {
    const bytes = tinyModelBytes();
    bytes[8] = 0x5b;
    expect(() => parseModel(bytes)).toThrow(/not JSON/);
    for (const header of [null, 3, [], 'x', {}]) {
      expect(() => parseModel(writeSafetensors(header, [])), JSON.stringify(header)).toThrow(FormatError);
    }
  });

  it('has a byte order mark before its JSON, or bytes in it that are no UTF-8', () => {
    const bytes = tinyModelBytes();
    const marked = new Uint8Array(bytes.length + 3);
    marked.set(bytes.subarray(0, 8));
    marked[0]! += 3;
    expect(marked[0]).toBeGreaterThan(3);
    marked.set([0xef, 0xbb, 0xbf], 8);
    marked.set(bytes.subarray(8), 11);
    expect(() => parseModel(marked)).toThrow(/not JSON/);
    bytes[indexOf(bytes, new TextEncoder().encode('tiny'))] = 0xff;
    expect(() => parseModel(bytes)).toThrow(/not JSON/);
  });

  it('has one bit changed anywhere in its data', async () => {
    const bytes = tinyModelBytes();
    bytes[bytes.length - 1]! ^= 1;
    await expect(loadModel(bytes)).rejects.toThrow(FormatError);
    const later = tinyModelBytes();
    const { graph } = tinyModelParts();
    expect(graph).toBeDefined();
    // A weight, so that everything but the hash is in order.
    const model = parseModel(later);
    const offset = indexOf(later, new Uint8Array((model.analysis[1] as Conv).weight.buffer));
    later[offset]! ^= 1;
    expect(() => parseModel(later)).not.toThrow();
    await expect(loadModel(later)).rejects.toThrow(/its hash is/);
  });

  it.each([101, 20_000])('nests %i deep, wherever that is', (depth) => {
    const deep = '['.repeat(depth) + ']'.repeat(depth);
    const { graph } = tinyModelParts();
    const text = JSON.stringify(graph);
    const withGraph = (changed: string) =>
      parseModel(tinyModelBytes({ change: ({ metadata }) => (metadata.graph = changed) }));
    const refusal = (where: string) => new RegExp(`model at byte 8: ${where} nests more than 100 deep`);
    // The object around it is one level more.
    const inner = deep.slice(1, -1);
    expect(() => withGraph(text.replace('{', `{"own":${inner},`))).toThrow(refusal('the graph'));
    expect(() => withGraph(text.replace('"qualities":100', `"qualities":${inner}`))).toThrow(
      refusal('the graph'),
    );
    expect(() => parseModel(safetensorsOf(`{"a":{"dtype":${inner}}}`))).toThrow(refusal('the header'));
  });

  it('is of a later version', async () => {
    const later = load(({ metadata }) => {
      metadata.version = '2';
    });
    await expect(later).rejects.toThrow(UnsupportedError);
  });
});

/** `JSON.stringify` cannot write everything that a stranger can. */
function safetensorsOf(json: string): Uint8Array {
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(new TextEncoder().encode(json), 8);
  return bytes;
}

const indexOf = (bytes: Uint8Array, part: Uint8Array) => Buffer.from(bytes).indexOf(part);

type Fault = [what: string, message: RegExp, change: (parts: ModelParts) => void];

const set = (parts: ModelParts, tensor: string, index: number, value: number) => {
  parts.tensors.get(tensor)!.data[index] = value;
};

const isShuffle = ({ op }: { op: string }) => op === 'shuffle';

/** Gives a conv another number of outputs, all of weight 0. */
const withOutputs = (
  { tensors }: ModelParts,
  conv: { outputs: number; weight: string; bias: string },
  outputs: number,
) => {
  for (const name of [conv.weight, conv.bias]) {
    const tensor = tensors.get(name)!;
    const length = (tensor.data.length / conv.outputs) * outputs;
    tensor.data = tensor.dtype === 'I16' ? new Int16Array(length) : new Int32Array(length);
    tensor.shape[0] = outputs;
  }
  conv.outputs = outputs;
};

const faults: Fault[] = [
  ['another format', /format/, ({ metadata }) => (metadata.format = 'liif')],
  ['a name with capitals', /name/, ({ metadata }) => (metadata.name = 'Tiny')],
  ['a name of 65 letters', /name "a/, ({ metadata }) => (metadata.name = 'a'.repeat(65))],
  ['a hash that is none', /hash/, ({ metadata }) => (metadata.hash = 'abc')],
  ['a hash that is too long', /hash "a/, ({ metadata }) => (metadata.hash = 'a'.repeat(65))],
  ['the hash of another model', /hash/, ({ metadata }) => (metadata.hash = 'a'.repeat(64))],
  ['no graph', /graph/, ({ metadata }) => (metadata.graph = 'null')],
  ['a graph that is not JSON', /graph is not JSON/, ({ metadata }) => (metadata.graph = '{')],
  ['99 qualities', /qualities: expected 100/, ({ graph }) => (graph.qualities = 99)],
  ['a latent stride of 8', /latentStride/, ({ graph }) => (graph.latentStride = 8)],
  ['a hyper stride of 2', /hyperStride/, ({ graph }) => (graph.hyperStride = 2)],
  ['33 latent channels', /latentChannels.*multiple of 32/, ({ graph }) => (graph.latentChannels = 33)],
  ['latent channels without end', /latentChannels/, ({ graph }) => (graph.latentChannels = 2 ** 31)],
  ['hyper channels that are a string', /hyperChannels/, ({ graph }) => (graph.hyperChannels = '8')],
  ['an image shift of 1', /imageShift/, ({ graph }) => (graph.imageShift = 1)],
  ['an image shift of 16', /imageShift/, ({ graph }) => (graph.imageShift = 16)],
  ['no analysis', /graph.analysis/, ({ graph }) => delete graph.analysis],
  ['an empty synthesis', /graph.synthesis/, ({ graph }) => (graph.synthesis = [])],
  [
    '65 layers',
    /list of 1 to 64/,
    ({ graph }) => (graph.trunk = graph.synthesis = Array(65).fill(graph.synthesis[0])),
  ],
  ['three prior steps', /expected 4 steps but received 3/, ({ graph }) => graph.prior.pop()],
  ['an unknown layer', /unknown layer "pool"/, ({ graph }) => (graph.synthesis[0].op = 'pool')],
  [
    'a layer from Object',
    /unknown layer "constructor"/,
    ({ graph }) => (graph.synthesis[0].op = 'constructor'),
  ],
  ['a kernel of 2', /kernel/, ({ graph }) => (graph.synthesis[2].kernel = 2)],
  ['a kernel of 5', /kernel/, ({ graph }) => (graph.synthesis[2].kernel = 5)],
  [
    'inputs that the layer before does not make',
    /inputs: is 24, but/,
    ({ graph }) => (graph.synthesis[2].inputs = 24),
  ],
  ['outputs that are no multiple of 8', /outputs/, ({ graph }) => (graph.synthesis[2].outputs = 100)],
  ['a weight of another shape', /shape/, ({ tensors }) => tensors.get('synthesis.1.weight')!.shape.reverse()],
  [
    'a weight of one dimension more',
    /expected shape/,
    ({ tensors }) => tensors.get('latent.step')!.shape.push(1),
  ],
  [
    'a tensor that the graph names twice',
    /names it twice/,
    ({ graph }) => (graph.latent.deviationOffset = graph.latent.step),
  ],
  ['half of a letter', /unpaired surrogate/, ({ metadata }) => (metadata.note = '\ud800')],
  ['a weight that is not there', /there is no tensor/, ({ graph }) => (graph.synthesis[2].weight = 'gone')],
  ['a weight of int32', /expected I16/, ({ graph }) => (graph.synthesis[2].weight = 'synthesis.1.bias')],
  ['a tensor of floats', /dtype/, ({ tensors }) => (tensors.get('hyper.table')!.dtype = 'F32' as 'I32')],
  ['a negative size', /list of sizes/, ({ tensors }) => (tensors.get('hyper.table')!.shape = [-1, -8])],
  [
    'a size that overflows',
    /list of sizes/,
    ({ tensors }) => (tensors.get('hyper.table')!.shape = [2 ** 32, 2 ** 32]),
  ],
  [
    'five dimensions',
    /5 dimensions/,
    ({ tensors }) => (tensors.get('hyper.table')!.shape = [100, 2, 2, 2, 1]),
  ],
  [
    'a tensor that the graph does not name',
    /does not name it/,
    ({ tensors }) => tensors.set('extra', { dtype: 'I16', shape: [2], data: new Int16Array(2) }),
  ],
  ['a shift of 31', /shift/, ({ graph }) => (graph.synthesis[2].shift = 31)],
  ['a shift of 1.5', /shift/, ({ graph }) => (graph.synthesis[2].shift = 1.5)],
  ['a limit of 0', /limit/, ({ graph }) => (graph.synthesis[2].limit = 0)],
  ['a limit of 32768', /limit/, ({ graph }) => (graph.synthesis[2].limit = 32768)],
  ['leaky that is a number', /leaky/, ({ graph }) => (graph.synthesis[2].leaky = 1)],
  ['a factor of 3', /factor/, ({ graph }) => (graph.synthesis[3].factor = 3)],
  [
    'a shuffle of too few channels',
    /reduction|multiple of 8/,
    ({ graph }) => (graph.synthesis[3].factor = 4),
  ],
  [
    'a shuffle after a row',
    /follows a conv 1x1/,
    ({ graph }) => graph.synthesis.splice(1, 0, { op: 'shuffle', factor: 2 }),
  ],
  [
    'an unshuffle before another',
    /followed by/,
    ({ graph }) => graph.hyperAnalysis.splice(1, 0, { op: 'unshuffle', factor: 2 }),
  ],
  [
    'an unshuffle at the end',
    /followed by/,
    ({ graph }) => graph.hyperAnalysis.push({ op: 'unshuffle', factor: 2 }),
  ],
  ['a residual whose first is not leaky', /leaky/, ({ graph }) => (graph.synthesis[1].first.leaky = false)],
  ['a residual whose second is leaky', /leaky/, ({ graph }) => (graph.synthesis[1].second.leaky = true)],
  [
    'hyper latents at half size',
    /expected a reduction by 4 but received 2/,
    ({ graph }) => graph.hyperAnalysis.splice(1, 2),
  ],
  [
    'a context at half size',
    /hyperSynthesis: expected a reduction by 0.25 but received 0.5/,
    ({ graph }) => graph.hyperSynthesis.splice(1 + graph.hyperSynthesis.findIndex(isShuffle)),
  ],
  [
    'hyper latents of too many channels',
    /hyperAnalysis: expected 8 channels but received 16/,
    (parts) => withOutputs(parts, parts.graph.hyperAnalysis.at(-1), 16),
  ],
  [
    'a deviation of fewer channels than latents',
    /deviation: expected 32 outputs but received 24/,
    (parts) => withOutputs(parts, parts.graph.prior[1].deviation, 24),
  ],
  [
    'a synthesis of another width than the head',
    /hidden|shape|channels/,
    ({ graph }) => (graph.head.hidden = 8),
  ],
  ['a synthesis with another limit than the head', /limit/, ({ graph }) => (graph.head.limit = 19999)],
  [
    'an analysis with another limit than latents',
    /limit/,
    ({ graph }) => (graph.analysis.at(-1).limit = 17999),
  ],
  [
    'a mean beyond the limit of latents',
    /prior\[2\].mean/,
    ({ graph }) => (graph.prior[2].mean.limit = 18001),
  ],
  [
    'a mean of 3x3',
    /prior\[1\].mean: expected a conv 1x1/,
    ({ graph, tensors }) => {
      const { mean } = graph.prior[1];
      const weight = tensors.get(mean.weight)!;
      mean.kernel = 3;
      weight.shape = [mean.outputs, 3, 3, mean.inputs];
      weight.data = new Int16Array(9 * weight.data.length);
    },
  ],
  ['a leaky deviation', /prior\[0\].deviation/, ({ graph }) => (graph.prior[0].deviation.leaky = true)],
  [
    'a trunk that changes resolution',
    /trunk/,
    ({ graph }) => graph.prior[0].trunk.push({ op: 'shuffle', factor: 2 }),
  ],
  ['latent stepBits of 0', /stepBits/, ({ graph }) => (graph.latent.stepBits = 0)],
  ['latent stepBits of 25', /stepBits/, ({ graph }) => (graph.latent.stepBits = 25)],
  ['a latent step of 0', /step/, (parts) => set(parts, 'latent.step', 5, 0)],
  ['a latent step that overflows', /latent channel 5/, (parts) => set(parts, 'latent.step', 5, 65536)],
  [
    'a deviation offset that overflows',
    /deviation/,
    (parts) => set(parts, 'latent.deviationOffset', 9, 2 ** 31 - 1),
  ],
  ['a deviation shift of 16', /deviationShift/, ({ graph }) => (graph.latent.deviationShift = 16)],
  ['a negative hyper step', /hyper step/, (parts) => set(parts, 'hyper.step', 0, -1)],
  ['a hyper offset that overflows', /hyper channel 3/, (parts) => set(parts, 'hyper.offset', 3, -(2 ** 31))],
  ['a hyper table that is not there', /table 14 of 14/, (parts) => set(parts, 'hyper.table', 8, 14)],
  ['a negative hyper table', /table -1/, (parts) => set(parts, 'hyper.table', 8, -1)],
  ['precision 15', /precision/, ({ graph }) => (graph.tables.precision = 15)],
  ['precision 11', /precision/, ({ graph }) => (graph.tables.precision = 11)],
  ['tables that do not start at 0', /not 0/, (parts) => set(parts, 'tables.start', 0, 1)],
  ['tables that go back', /table 3 has/, (parts) => set(parts, 'tables.start', 3, 1000)],
  ['a table of one frequency', /has 1 freq/, (parts) => set(parts, 'tables.start', 1, 3)],
  ['a table of 1025 frequencies', /table 0 has 1025/, (parts) => set(parts, 'tables.start', 1, 1025)],
  ['a frequency of 0', /below 1/, (parts) => set(parts, 'tables.frequency', 2, 0)],
  [
    'a sum that is one too large',
    /adds up to 16385/,
    (parts) => set(parts, 'tables.frequency', 2, parts.tensors.get('tables.frequency')!.data[2]! + 1),
  ],
  ['-1 raw bits', /-1 raw bits/, (parts) => set(parts, 'tables.rawBits', 1, -1)],
  ['13 raw bits', /13 raw bits/, (parts) => set(parts, 'tables.rawBits', 1, 13)],
  [
    'symbols below -32768',
    /table 13 yields.*beyond 16 bits/,
    (parts) => set(parts, 'tables.minimum', 13, -32768),
  ],
  ['symbols above 32767', /yields symbols 32766 to 32768/, (parts) => set(parts, 'tables.minimum', 1, 32766)],
  [
    'no tables',
    /0 tables/,
    ({ tensors }) => Object.assign(tensors.get('tables.start')!, { shape: [1], data: new Int32Array(1) }),
  ],
  [
    '257 tables',
    /257 tables/,
    ({ tensors }) => Object.assign(tensors.get('tables.start')!, { shape: [258], data: new Int32Array(258) }),
  ],
  ['a cell shift of 0', /cellShift/, ({ graph }) => (graph.head.cellShift = 0)],
  ['a cell shift of 25', /cellShift/, ({ graph }) => (graph.head.cellShift = 25)],
  ['an output shift of 8', /outputShift/, ({ graph }) => (graph.head.outputShift = 8)],
  ['an output shift of 31', /outputShift/, ({ graph }) => (graph.head.outputShift = 31)],
  [
    'an output bias that overflows',
    /output 1 of the head/,
    (parts) => set(parts, 'head.outputBias', 1, 2 ** 31 - 1),
  ],
];

describe('a model with one fault', () => {
  it.each(faults)('is refused: %s', async (_what, message, change) => {
    const error = await load(change).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).section).toBe('model');
    expect((error as FormatError).message).toMatch(message);
  });
});

describe('the proof that accumulators fit', () => {
  /**
   * Weights of output 0 of the first 1x1 conv of the synthesis at full size, with limit 14000 on 32 inputs,
   * shift 10: sum + 512.
   */
  const withBound = (bias: number) => (parts: ModelParts) => {
    const weight = parts.tensors.get('synthesis.1.weight')!.data;
    weight.fill(0, 0, 32);
    for (let i = 0; i < 4; i++) weight[i] = i % 2 ? -30000 : 30000; // 4 * 30000 * 14000 = 1,680,000,000
    set(parts, 'synthesis.1.bias', 0, bias);
  };
  const room = 2 ** 31 - 1 - 1_680_000_000 - 512;

  it('accepts a conv that reaches 2^31 - 1 exactly, with either sign of bias', async () => {
    await expect(load(withBound(room))).resolves.toBeDefined();
    await expect(load(withBound(-room))).resolves.toBeDefined();
  });

  it('refuses a conv that reaches 2^31, with either sign of bias', async () => {
    await expect(load(withBound(room + 1))).rejects.toThrow(/output 0 can reach 2147483648/);
    await expect(load(withBound(-room - 1))).rejects.toThrow(/output 0 can reach 2147483648/);
  });

  it('looks at the row of every quality', async () => {
    const quality73 = 72 * 16 + 3;
    await expect(
      load((parts) => set(parts, 'synthesis.0.0.first.bias', quality73, 2 ** 31 - 1)),
    ).rejects.toThrow(/synthesis\[1\].first.weight: the accumulator of output 3/);
  });

  it('gives each part of a concatenation its own limit', async () => {
    // Channel 16 is the first latent (limit 18000), channel 0 the first of h (limit 14000).
    const weight = (channel: number) => (parts: ModelParts) => {
      parts.tensors.get('prior.1.0.weight')!.data.fill(0, 0, 9 * 48);
      for (let tap = 0; tap < 4; tap++) set(parts, 'prior.1.0.weight', tap * 48 + channel, 32767);
      set(parts, 'prior.1.0.bias', 0, 0);
    };
    await expect(load(weight(0))).resolves.toBeDefined(); // 4 * 32767 * 14000 < 2^31
    await expect(load(weight(16))).rejects.toThrow(/prior\[1\].trunk\[0\].weight/); // 4 * 32767 * 18000 > 2^31
  });

  it('counts the picture as 2^(16 - imageShift)', async () => {
    const heavy = (shift: number) => (parts: ModelParts) => {
      parts.graph.imageShift = shift;
      parts.tensors.get('analysis.0.weight')!.data.fill(32767, 0, 6);
      parts.tensors.get('analysis.0.weight')!.data.fill(0, 6, 48);
      set(parts, 'analysis.0.bias', 0, 0);
    };
    await expect(load(heavy(3))).resolves.toBeDefined(); // 6 * 32767 * 8192 < 2^31
    await expect(load(heavy(2))).rejects.toThrow(/analysis\[1\]/); // 6 * 32767 * 16384 > 2^31
  });

  it('refuses a row that overflows', async () => {
    await expect(load((parts) => set(parts, 'synthesis.row', 40, 2 ** 31 - 1))).rejects.toThrow(/channel 8/);
  });

  it('takes latent steps up to 65535', async () => {
    await expect(load((parts) => set(parts, 'latent.step', 5, 65535))).resolves.toBeDefined();
  });
});
