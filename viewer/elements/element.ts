type Child = Node | string | undefined | false;

export interface ElementProperties {
  readonly class?: string;
  readonly text?: string;
  /** Attributes by name; undefined and false leave one out, true gives it no value. */
  readonly attributes?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly on?: { readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
}

/** An HTML element, made in one expression. Text is never taken for markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: ElementProperties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (properties.class !== undefined) made.className = properties.class;
  if (properties.text !== undefined) made.textContent = properties.text;
  for (const [name, value] of Object.entries(properties.attributes ?? {})) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [name, listener] of Object.entries(properties.on ?? {}))
    made.addEventListener(name, listener as EventListener);
  for (const child of children) if (child !== undefined && child !== false) made.append(child);
  return made;
}
