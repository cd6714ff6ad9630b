import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { FormatError, RequestError } from '../../src/errors.ts';
import { modelConvs } from '../../src/network/convs.ts';
import { hashModel, loadModel } from '../../src/network/load.ts';
import type { Conv, Model } from '../../src/network/model.ts';
import { headerEnd, parseHeader } from '../../src/network/safetensors.ts';
import { rewriteModel } from '../../src/network/write-model.ts';
import { tinyModelBytes } from '../fixtures/tiny-model.ts';

const released = await readFile(new URL('../../src/model/liif-1.safetensors', import.meta.url));

const graphOf = (file: Uint8Array) =>
  JSON.parse(parseHeader(file.subarray(0, headerEnd(file))).metadata.get('graph')!);

/** Everything but name and hash. */
function content(model: Model): Omit<Model, 'name' | 'hash'> {
  const { name: _, hash: __, ...rest } = model;
  return rest;
}

describe('rewriteModel with the values of the base', () => {
  it('gives its bytes back', async () => {
    const model = await loadModel(released);
    const same = await rewriteModel(released, { ...model, convs: modelConvs<Conv>(model) });
    expect(Buffer.compare(same, released)).toBe(0);
  });

  it('keeps the hash under another name', async () => {
    const model = await loadModel(released);
    const renamed = await rewriteModel(released, { name: 'zoo.2', convs: modelConvs<Conv>(model) });
    const { name, hash } = await loadModel(renamed);
    expect(name).toBe('zoo.2');
    expect(hash).toBe(model.hash);
  });

  it('keeps a graph whose JSON is spelled in another way, and metadata that it does not know', async () => {
    const base = tinyModelBytes({
      change: ({ graph, metadata }) => {
        graph.tables.precision = 14;
        metadata.graph = JSON.stringify(graph, null, 1).replace('"imageShift": 3', '"imageShift": 3.0');
        metadata.author = 'é';
      },
    });
    const model = await loadModel(base);
    const file = await rewriteModel(base, { name: 'other', convs: modelConvs<Conv>(model) });
    const before = parseHeader(base.subarray(0, headerEnd(base))).metadata;
    const after = parseHeader(file.subarray(0, headerEnd(file))).metadata;
    expect(Object.fromEntries(after)).toEqual({ ...Object.fromEntries(before), name: 'other' });
  });
});

describe('rewriteModel with new values', () => {
  it('has them where the graph of the base has the old ones', async () => {
    const base = tinyModelBytes();
    const model = await loadModel(base);
    const convs = modelConvs<Conv>(model).map(({ weight, bias, shift }, i) => ({
      weight: weight.map((w, k) => (k % 7 === i % 7 ? w - Math.sign(w) : w)),
      bias: bias.map((b) => b + (b > 0 ? -1 : 1)),
      shift: shift - (i % 2),
    }));
    const changed = await loadModel(await rewriteModel(base, { name: 'changed', convs }));
    expect(modelConvs<Conv>(changed).map(({ weight, bias, shift }) => ({ weight, bias, shift }))).toEqual(
      convs,
    );
    expect(changed.hash).not.toBe(model.hash);
    const back = await rewriteModel(await rewriteModel(base, { name: 'changed', convs }), {
      ...model,
      convs: modelConvs<Conv>(model),
    });
    expect(content(await loadModel(back))).toEqual(content(model));
    expect((await loadModel(back)).hash).toBe(model.hash);
  });

  it('takes other tables and another output of the head', async () => {
    const base = tinyModelBytes();
    const other = await loadModel(tinyModelBytes({ seed: 2, precision: 13 }));
    const model = await loadModel(base);
    const head = { ...model.head, outputWeight: other.head.outputWeight, outputShift: 13 };
    const file = await rewriteModel(base, {
      name: 'x',
      convs: modelConvs<Conv>(model),
      tables: other.tables,
      head,
    });
    const changed = await loadModel(file);
    expect(other.tables.frequency).not.toEqual(model.tables.frequency);
    expect(changed.tables).toEqual(other.tables);
    expect(changed.head).toEqual(head);
    expect({ ...content(changed), tables: 0, head: 0 }).toEqual({ ...content(model), tables: 0, head: 0 });
  });

  it('adds its provenance to what the graph says already, and keeps keys it does not know', async () => {
    const model = await loadModel(released);
    const changes = {
      name: 'tuned',
      convs: modelConvs<Conv>(model),
      provenance: { tuned: { from: model.hash, steps: 3 } },
    };
    const file = await rewriteModel(released, changes);
    const before = graphOf(released);
    expect(before.provenance.checkpoint).toMatch(/^[0-9a-f]{64}$/);
    expect(graphOf(file)).toEqual({
      ...before,
      provenance: { ...before.provenance, tuned: { from: model.hash, steps: 3 } },
    });
    const tuned = await loadModel(file);
    expect(tuned.hash).not.toBe(model.hash);
    expect(tuned.hash).toBe(await hashModel(file));
    const data = (bytes: Uint8Array) => bytes.subarray(headerEnd(bytes));
    expect(Buffer.compare(data(file), data(released))).toBe(0);
  });
});

describe('rewriteModel refuses', () => {
  const base = tinyModelBytes();
  const refusal = async (change: (changes: Parameters<typeof rewriteModel>[1]) => object) => {
    const model = await loadModel(base);
    const changes = { name: 'x', convs: modelConvs<Conv>(model) };
    await expect(rewriteModel(base, { ...changes, ...change(changes) })).rejects.toThrow(RequestError);
  };

  it('a base that is damaged', async () => {
    const damaged = base.slice();
    damaged[damaged.length - 1]! ^= 1;
    await expect(rewriteModel(damaged, { name: 'x', convs: [] })).rejects.toThrow(FormatError);
  });

  it('too few convolutions, and lengths of others', async () => {
    await refusal(({ convs }) => ({ convs: convs.slice(1) }));
    await refusal(({ convs }) => ({ convs: convs.toReversed() }));
    await refusal(() => ({
      head: { outputWeight: new Int16Array(3), outputBias: new Int32Array(3), outputShift: 14 },
    }));
  });

  it('a name, a shift, tables or weights that no loader would take', async () => {
    await refusal(() => ({ name: 'No Name' }));
    await refusal(({ convs }) => ({ convs: [{ ...convs[0]!, shift: 31 }, ...convs.slice(1)] }));
    await refusal(({ convs }) => ({
      convs: [{ ...convs[0]!, weight: convs[0]!.weight.map(() => 32767) }, ...convs.slice(1)],
    }));
    const { tables } = await loadModel(base);
    await refusal(() => ({ tables: { ...tables, frequency: tables.frequency.map((f) => f + 1) } }));
  });
});
