const KEY = 'liif-theme';
const CHOICES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof CHOICES)[number];

/** What was chosen last here; `auto` follows the system. */
function currentTheme(): Theme {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden; then a choice holds for the page.
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
    // see above
  }
  return theme;
}
