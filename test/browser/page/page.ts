import * as liif from '../../../src/browser.ts';

declare global {
  interface Window {
    liif: typeof liif;
    sha256(data: ArrayBufferView): Promise<string>;
  }
}

window.liif = liif;
window.sha256 = async (data) => {
  const digest = await crypto.subtle.digest('SHA-256', data as ArrayBufferView<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
};
