import * as liif from '../../../src/browser.ts';
import { toHexadecimal } from '../../../src/hexadecimal.ts';

declare global {
  interface Window {
    liif: typeof liif;
    sha256(data: ArrayBufferView): Promise<string>;
  }
}

window.liif = liif;
window.sha256 = async (data) => {
  const digest = await crypto.subtle.digest('SHA-256', data as ArrayBufferView<ArrayBuffer>);
  return toHexadecimal(new Uint8Array(digest));
};
