// All that shows a picture, fetched as one part of the page: the gallery does without.

export { openPicture } from '../decoder/local-picture.ts';
export { ViewPage } from './view-page.ts';
