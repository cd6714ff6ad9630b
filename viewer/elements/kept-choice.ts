/**
 * A choice of the visitor that this browser has kept; null where there is none, or where storage is
 * forbidden.
 */
export function keptChoice(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a choice, or with null forgets it. Where storage is forbidden, it holds for this page only. */
export function keepChoice(key: string, choice: string | null): void {
  try {
    if (choice === null) localStorage.removeItem(key);
    else localStorage.setItem(key, choice);
  } catch {
    // As keptChoice.
  }
}
