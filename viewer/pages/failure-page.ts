import type { DecodeError } from '../decoder/local-decoder.ts';
import { element } from '../elements/element.ts';
import { NoTileServer, ServerError } from '../picture/api.ts';
import { stalePage } from '../picture/stale-page.ts';
import { againButton, messagePage } from './message-page.ts';

interface Failure {
  /** Plain words. */
  readonly sentence: string;
  /** The message of the program, for experts. */
  readonly detail?: string;
  /** Whether to offer another try; `reload` where only a reload can help. */
  readonly again: boolean | 'reload';
}

/** Says why there is no picture. */
export function failurePage(error: Error, again: () => void, back: () => void): HTMLElement {
  const failure = failureOf(error);
  return messagePage(
    'This picture cannot be shown',
    [
      element(
        'div',
        { attributes: { role: 'alert' } },
        element('p', { text: failure.sentence }),
        failure.detail !== undefined && element('p', { class: 'detail', text: failure.detail }),
      ),
      failure.again && againButton('Try again', failure.again === 'reload' ? () => location.reload() : again),
    ],
    back,
  );
}

function failureOf(error: Error): Failure {
  const { message } = error;
  if (error instanceof ServerError)
    return {
      sentence: message,
      again: !(error.status !== undefined && error.status >= 400 && error.status < 500),
    };
  if (error instanceof NoTileServer)
    return {
      sentence:
        'This host has no tile server. A .liif file beside the page opens by its name: ?src=photo.liif',
      again: false,
    };
  const stale = stalePage(error);
  if (stale !== undefined) return { sentence: stale, detail: message, again: 'reload' };
  const { tag, unreachable, replaced } = error as Partial<DecodeError>;
  // Trying again helps, too, where the machines of one host have different ETags for the same file.
  if (replaced) return { sentence: message, again: true };
  switch (tag) {
    case 'FormatError':
      return {
        sentence: /^prefix /.test(message) ? 'The file is not a .liif picture.' : 'The file is damaged.',
        detail: message,
        again: false,
      };
    case 'SourceError':
      return {
        sentence: unreachable
          ? 'The file cannot be fetched: its host cannot be reached, or does not let other pages read its files.'
          : 'The file cannot be fetched.',
        detail: message,
        again: true,
      };
    case 'UnsupportedError':
      return { sentence: 'The file cannot be decoded here.', detail: message, again: false };
    case 'EngineError':
      return { sentence: 'The decoder does not start in this browser.', detail: message, again: true };
  }
  return { sentence: message, again: false };
}
