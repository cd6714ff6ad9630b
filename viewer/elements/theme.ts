const KEY = 'liif-theme';
const CHOICES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof CHOICES)[number];

/** The last choice in this browser. `auto` follows the system. */
function currentTheme(): Theme {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // Where storage is forbidden, the choice holds for this page only.
    stored = document.documentElement.dataset.theme ?? null;
  }
  return CHOICES.find((choice) => choice === stored) ?? 'auto';
}

export function applyTheme(theme: Theme = currentTheme()): void {
  document.documentElement.dataset.theme = theme;
}

export function nextTheme(): Theme {
  const theme = CHOICES[(CHOICES.indexOf(currentTheme()) + 1) % CHOICES.length]!;
  applyTheme(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // As in currentTheme.
  }
  return theme;
}
