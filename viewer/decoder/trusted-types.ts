interface Rules {
  readonly createScriptURL: (address: string) => string | null;
  readonly createHTML: (html: string) => string | null;
}

declare global {
  // TypeScript has no type for it yet.
  var trustedTypes: { createPolicy(name: 'default', rules: Rules): unknown } | undefined;
}

/** The markup by which Leaflet finds out whether a browser draws SVG or VML. */
const PROBES = ['<svg/>', '<v:shape adj="1"/>'];

/**
 * Sets the default policy for hosts that send `require-trusted-types-for 'script'`: workers may only be
 * scripts of this host, and no text but Leaflet's probes becomes markup. To be called first in the page, and
 * in workers that start others.
 */
export function trustOwnScripts(): void {
  const isOwn = (address: string) => new URL(address, location.href).origin === location.origin;
  try {
    globalThis.trustedTypes?.createPolicy('default', {
      createScriptURL: (address) => (isOwn(address) ? address : null),
      createHTML: (html) => (PROBES.includes(html) ? html : null),
    });
  } catch {
    // The host forbids such a policy, and has to see to it that workers start.
  }
}
