/**
 * Packages of TensorFlow's C library, which a script of theirs fetches when they are installed: on CUDA, and
 * on the processor.
 */
const NATIVE_BACKENDS = ['node-gpu', 'node'] as const;
export type NativeBackend = (typeof NATIVE_BACKENDS)[number];

export function isNative(backend: string): backend is NativeBackend {
  return NATIVE_BACKENDS.some((native) => native === backend);
}

export function packageOf(backend: NativeBackend): string {
  return `@tensorflow/tfjs-${backend}`;
}

/**
 * Read by the C library when it is loaded: no TF32, which keeps 11 bits of a product's factors, and no lines
 * about the processor on standard error. Values that somebody set stay.
 */
export function silenceTensorFlow(): void {
  process.env.NVIDIA_TF32_OVERRIDE ??= '0';
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
}

/**
 * The packages, 4.22 at least, call with every operation what Node 23 took out of `util`, and what later ones
 * warn of.
 */
export async function restoreUtil(): Promise<void> {
  const { default: util } = await import('node:util');
  Object.assign(util, {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  });
}

/** Why a backend that is there does not start: what its error says, unless there is something that helps. */
export function whyNot(backend: string, message: string): string {
  // Their packages register nothing elsewhere.
  if (message.includes('not found in registry')) return 'it runs in browsers only';
  if (!isNative(backend) || !message.includes('tfjs_binding.node')) return message;
  const name = packageOf(backend);
  return `the script that fetches TensorFlow's library when it is installed has not run: npm install-scripts approve ${name} (npm 12), then npm rebuild ${name}`;
}
