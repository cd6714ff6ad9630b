import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/**
 * Writes the licenses of all packages in the bundle and its workers into one file beside them, which is
 * copied along with the bundle.
 */
export function bundledLicenses(fileName: string): { readonly page: Plugin; readonly workers: Plugin } {
  const folders = new Set<string>();
  const seen: Plugin['moduleParsed'] = ({ id }) => {
    const folder = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/'))?.[1];
    if (folder !== undefined) folders.add(folder);
  };
  return {
    // Workers are bundled while the page's modules are read, so `generateBundle` knows all of them.
    workers: { name: 'licenses-of-workers', moduleParsed: seen },
    page: {
      name: 'licenses',
      moduleParsed: seen,
      generateBundle() {
        const source = [...folders].map(licenseOf).sort().join('\n');
        this.emitFile({ type: 'asset', fileName, source });
      },
    },
  };
}

function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((each) => /^licen[sc]e/i.test(each));
  if (file === undefined) throw new Error(`${name} has no license file`);
  return `## ${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}
