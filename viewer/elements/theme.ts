import { keepChoice, keptChoice } from './kept-choice.ts';

const KEY = 'liif-theme';
const CHOICES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof CHOICES)[number];

/** The last choice in this browser, or in this page where none is kept. `auto` follows the system. */
function currentTheme(): Theme {
  const last = keptChoice(KEY) ?? document.documentElement.dataset.theme;
  return CHOICES.find((choice) => choice === last) ?? 'auto';
}

export function applyTheme(theme: Theme = currentTheme()): void {
  document.documentElement.dataset.theme = theme;
}

export function nextTheme(): Theme {
  const theme = CHOICES[(CHOICES.indexOf(currentTheme()) + 1) % CHOICES.length]!;
  applyTheme(theme);
  keepChoice(KEY, theme);
  return theme;
}
