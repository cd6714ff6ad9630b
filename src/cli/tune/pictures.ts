import { expectOther } from '../../image/same-file.ts';
import { withoutCopies } from '../../train/pictures/copies.ts';
import { readFit } from '../../train/pictures/corpus.ts';
import { holdOut } from '../../train/pictures/hold-out.ts';
import { seededRandom } from '../../train/random.ts';
import type { TuneSettings } from '../../train/tune.ts';
import { expandFolders, IMAGES } from '../folders.ts';
import { interruption } from '../interruption.ts';
import type { Terminal } from '../terminal.ts';

/** Paths, each picture once. */
export interface ChosenPictures {
  readonly learned: readonly string[];
  /** Held out, to compare models on. */
  readonly held: readonly string[];
}

/**
 * The pictures that arguments name, without copies. Rejects with SourceError where there are none, and with
 * RequestError where one of them is the output.
 */
export async function namedPictures(
  args: readonly string[],
  output: string,
  terminal: Terminal,
): Promise<string[]> {
  const named = await expandFolders(args, IMAGES);
  for (const picture of named) await expectOther(picture, output);
  const pictures = await withoutCopies(named, interruption());
  const copies = named.length - pictures.length;
  if (copies > 0) terminal.warning(`copies of other pictures are left out: ${copies} of ${named.length}`);
  return pictures;
}

/**
 * Splits the pictures. With `compare`, some are held out that can be read and are large enough to be learned
 * from.
 */
export async function chosenPictures(
  pictures: readonly string[],
  { seed, side }: TuneSettings,
  compare: boolean,
  terminal: Terminal,
): Promise<ChosenPictures> {
  if (!compare) return { learned: pictures, held: [] };
  return holdOut(pictures, seededRandom(seed), async (path) => {
    const onSkip = skipTeller(terminal);
    return (await readFit(path, { smallest: side, signal: interruption(), onSkip })) !== undefined;
  });
}

/** An `onSkip` that warns. */
export function skipTeller(terminal: Terminal): (why: string) => void {
  return (why) => terminal.warning(`${why}; left out`);
}
