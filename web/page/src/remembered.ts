/** What the page keeps in the browser between visits: nothing of pictures, and never a key. */

const PREFIX = "background-removal.";

/** What was chosen, or the first choice; a browser may forbid storage altogether. */
export function recall<const T extends readonly [string, ...string[]]>(
  name: string,
  choices: T,
): T[number] {
  try {
    const kept = localStorage.getItem(PREFIX + name);
    return choices.find((choice) => choice === kept) ?? choices[0];
  } catch {
    return choices[0];
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // It holds for this visit.
  }
}
