interface Rules {
  readonly createScriptURL: (address: string) => string | null;
  readonly createHTML: (html: string) => string | null;
}

declare global {
  // Not yet among the types of TypeScript.
  var trustedTypes: { createPolicy(name: 'default', rules: Rules): unknown } | undefined;
}

/** What Leaflet finds out by whether a browser draws SVG, or VML. */
const PROBES = ['<svg/>', '<v:shape adj="1"/>'];

/**
 * For hosts that send `require-trusted-types-for 'script'`: workers are scripts of this host alone, and nothing else is ever made of a text. In the page, and in
 * workers that start others, before anything that needs it.
 */
export function trustOwnScripts(): void {
  const isOwn = (address: string) => new URL(address, location.href).origin === location.origin;
  try {
    globalThis.trustedTypes?.createPolicy('default', {
      createScriptURL: (address) => (isOwn(address) ? address : null),
      createHTML: (html) => (PROBES.includes(html) ? html : null),
    });
  } catch {
    // The host allows no such policy: it is for the host to say what works.
  }
}
