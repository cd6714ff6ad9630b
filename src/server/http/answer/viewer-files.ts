import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler } from 'express';
import type { Catalog } from '../../pictures/catalog/catalog.ts';
import type { Hosts } from '../request/hosts.ts';
import { inTurn } from './answer-turn.ts';
import { compress } from './compress.ts';
import { GALLERY_PAGE } from './gallery-page.ts';

/** The viewer's page of all pictures. With a query it may be that of a file elsewhere. */
const GALLERY = /^\/(index\.html)?$/;
/** The viewer's page of one picture: /view?id=… */
const PICTURE_PAGE = /^\/view(\?|$)/;
/** Both pages of the viewer: the gallery and the page of one picture. */
export const PAGE = /^\/(view|index\.html)?(\?|$)/;

/** Proxies have room for headers of some 4 kB. */
const MAX_LINK = 1024;

/** The files of the built viewer in `directory`; other requests pass. */
export function viewerFiles(directory: string, hosts: Hosts, catalog: Catalog): RequestHandler {
  const files = express.static(directory, {
    index: 'index.html',
    redirect: false,
    fallthrough: true,
    dotfiles: 'ignore',
    setHeaders(response, path) {
      // Vite names assets by their content.
      const named = /[\\/]assets[\\/]/.test(path);
      response.setHeader('Cache-Control', named ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  // Viewers built by other tools may have one page only.
  const picturePage = existsSync(`${directory}/view.html`) ? '/view.html' : '/index.html';
  // Only addresses that can be files of the viewer cost a look at the disk.
  return (request, response, next) => {
    if (!/^\/(assets\/[^/?]+|[^/?]*)(\?|$)/.test(request.url)) return next();
    if (PAGE.test(request.url)) hosts.baseOf(request);
    // The page's own addresses are relative, so that it can be mounted anywhere. They need the slash.
    if (request.originalUrl.split('?')[0] === request.baseUrl) {
      response.redirect(308, `${request.baseUrl}/`);
      return;
    }
    const wanted = firstRequests(request.url, catalog);
    const link = wanted.map((address) => `<${address}>; rel=preload; as=fetch; crossorigin`).join(', ');
    if (link !== '' && link.length <= MAX_LINK) response.setHeader('Link', link);
    if (PICTURE_PAGE.test(request.url)) request.url = picturePage;
    compress(request, response, () => inTurn(response, () => files(request, response, next)));
  };
}

/**
 * What a page asks the server for as soon as its script runs: browsers then ask for it together with the
 * script. Addresses are relative to the page's.
 */
function firstRequests(url: string, catalog: Catalog): string[] {
  if (GALLERY.test(url)) return [`api/images?offset=0&limit=${GALLERY_PAGE}`];
  if (!PICTURE_PAGE.test(url)) return [];
  const id = new URLSearchParams(url.split('?')[1]).get('id');
  if (id === null) return [];
  const entry = catalog.get(id);
  const original = entry && catalog.originalOf(entry);
  return [id, ...(original ? [original.id] : [])].map((each) => `api/images/${encodeURIComponent(each)}`);
}

/**
 * The directory of the built viewer: the given one, the one beside the compiled server, or the one in `dist`
 * when the sources run.
 */
export function viewerDirectory(given: string | undefined): string | undefined {
  const built = ['../../../viewer', '../../../../dist/viewer'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return (given === undefined ? built : [given]).find(
    (path) => existsSync(`${path}/index.html`) && existsSync(`${path}/assets`),
  );
}
