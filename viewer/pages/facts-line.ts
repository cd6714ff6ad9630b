import { element } from '../elements/element.ts';
import { factsOf } from '../picture/shown-picture.ts';

/** Facts of a picture in a list. A line of them breaks between two facts only. */
export function factsLine(info: Parameters<typeof factsOf>[0]): HTMLElement {
  return element('span', { class: 'facts' }, ...factsOf(info).map((text) => element('span', { text })));
}
