import { element } from '../elements/element.ts';

/** Facts of a picture in a line, which breaks between two of them only. */
export function factsLine(facts: readonly string[]): HTMLElement {
  return element('span', { class: 'facts' }, ...facts.map((text) => element('span', { text })));
}
