// Paths to be stroked, on a grid of 24 units.
const PATHS = {
  back: 'M15 5l-7 7 7 7',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  home: 'M4 11.5L12 5l8 6.5M6.5 10v9h11v-9',
  full: 'M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5',
  compare: 'M12 3v18M8 7l-4 5 4 5M16 7l4 5-4 5',
  inspect:
    'M4 20l.8-3.800 7.700-7.700 3 3-7.700 7.700zM10.300 6.300l7.400 7.400M14 8.500l2.800-2.800a1.800 1.800 0 0 1 2.500 2.500L16.500 11',
  map: 'M4 5h16v14H4zM12 11h5v5h-5z',
  save: 'M12 4v11M7.500 10.500L12 15l4.500-4.500M5 19.500h14',
  link: 'M10 14a4 4 0 0 0 6 .4l2.500-2.500a4 4 0 0 0-5.700-5.700L11.500 7.500M14 10a4 4 0 0 0-6-.4L5.500 12.100a4 4 0 0 0 5.700 5.700l1.300-1.300',
  help: 'M9.200 9.200a2.900 2.900 0 1 1 4.300 2.500c-1 .6-1.500 1.100-1.500 2.300M12 17.600v.100',
  theme: 'M20 13.500A8 8 0 1 1 10.500 4a6.500 6.500 0 0 0 9.500 9.500z',
  close: 'M6 6l12 12M18 6L6 18',
  upload: 'M12 16V5M7.500 9.500L12 5l4.500 4.500M5 19.500h14',
  open: 'M4 18.500V6h5.500l2 2.500H20v10z',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
} as const;

export type IconName = keyof typeof PATHS;

const SVG = 'http://www.w3.org/2000/svg';

/** A drawing beside a text or inside a named button; hidden from screen readers. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
