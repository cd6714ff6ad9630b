import { createRequire } from 'node:module';
import { afterEach, expect, it, vi } from 'vitest';
import { openBackend } from '../../../src/engine/tensorflow/backend.ts';
import { restoreUtil } from '../../../src/engine/tensorflow/native.ts';

/** As packages of CommonJS get it. */
const util = createRequire(import.meta.url)('node:util') as {
  isNullOrUndefined?: (value: unknown) => boolean;
  isArray?: (value: unknown) => boolean;
};

afterEach(() => {
  vi.doUnmock('@tensorflow/tfjs-node-gpu');
  vi.restoreAllMocks();
});

/** A package that is installed, and whose library says this as soon as it is used. */
function installedButBroken(message: string): void {
  vi.doMock('@tensorflow/tfjs-node-gpu', () => ({
    default: {
      enableProdMode() {
        throw new Error(message);
      },
    },
  }));
}

const MISSING_LIBRARY =
  'The Node.js native addon module (tfjs_binding.node) can not be found at path: /lib/tfjs_binding.node. \nPlease run command ...';

it('a package of TensorFlow whose library was never fetched is told of, with what helps, where another backend stands in', async () => {
  installedButBroken(MISSING_LIBRARY);
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const { backend } = await openBackend();
  expect(backend).not.toBe('node-gpu');
  const [[warning]] = warn.mock.calls as unknown as [[string]];
  expect(warning).toMatch(
    /^@tensorflow\/tfjs-node-gpu does not start \(the script that fetches .* has not run/,
  );
  expect(warning).toContain('npm install-scripts approve @tensorflow/tfjs-node-gpu');
  expect(warning).toContain(`TensorFlow.js' ${backend} backend stands in`);
  await expect(openBackend('node-gpu')).rejects.toThrow(
    /node-gpu backend: .* npm rebuild @tensorflow\/tfjs-node-gpu$/,
  );
});

it('a package of TensorFlow that does not start for other reasons is told of with them', async () => {
  installedButBroken('libcudart.so.11.0: cannot open shared object file\nand more');
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  await openBackend();
  expect(warn.mock.calls.map(([warning]) => warning)).toEqual([
    expect.stringMatching(/does not start \(libcudart\.so\.11\.0: cannot open shared object file\); /),
  ]);
});

it('packages of TensorFlow find in util what later versions of Node have no more', async () => {
  const { isNullOrUndefined, isArray } = util;
  try {
    delete util.isNullOrUndefined;
    delete util.isArray;
    await restoreUtil();
    expect([null, undefined, 0, ''].map((value) => util.isNullOrUndefined!(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([[], 'a'].map((value) => util.isArray!(value))).toEqual([true, false]);
  } finally {
    Object.assign(util, { isNullOrUndefined, isArray });
  }
});

it('says of a backend of browsers that it is one', async () => {
  await expect(openBackend('webgl')).rejects.toThrow(/webgl backend: it runs in browsers only/);
});
