import type { StringKey } from "./strings.js";

/** What a key or a button can ask for, with what it brings along. */
export interface Actions {
  choose: undefined;
  download: undefined;
  zip: undefined;
  copy: undefined;
  next: undefined;
  previous: undefined;
  compare: undefined;
  /** Whether it is being held. */
  original: boolean;
  zoomIn: undefined;
  zoomOut: undefined;
  fit: undefined;
  full: undefined;
  /** CSS pixels to the right and down. */
  pan: readonly [number, number];
  background: undefined;
  keepBrush: undefined;
  removeBrush: undefined;
  swapBrush: undefined;
  smallerBrush: undefined;
  largerBrush: undefined;
  undo: undefined;
  redo: undefined;
  remove: undefined;
  cancel: undefined;
  help: undefined;
}
export type Action = keyof Actions;

interface Key {
  /** As the list shows it. */
  keys: string;
  /** `KeyboardEvent.key`, letters in lower case, after what is held: `Ctrl+`, `Shift+`, `Alt+`. */
  press: readonly string[];
  action: Action;
  says: StringKey;
}

const STEP = 40;
const PAN: Readonly<Record<string, readonly [number, number]>> = {
  "Alt+ArrowLeft": [STEP, 0],
  "Alt+ArrowRight": [-STEP, 0],
  "Alt+ArrowUp": [0, STEP],
  "Alt+ArrowDown": [0, -STEP],
};

/** Every key of the page but those of the brush, which has the picture to itself. Pasting is the browser's own. */
export const KEYS: readonly Key[] = [
  { keys: "Ctrl+O", press: ["Ctrl+o"], action: "choose", says: "keyChoose" },
  { keys: "Ctrl+S", press: ["Ctrl+s"], action: "download", says: "keyDownload" },
  { keys: "Ctrl+Shift+S", press: ["Ctrl+Shift+s"], action: "zip", says: "keyZip" },
  { keys: "Ctrl+C", press: ["Ctrl+c"], action: "copy", says: "keyCopy" },
  { keys: "N", press: ["n"], action: "next", says: "keyNext" },
  { keys: "P", press: ["p"], action: "previous", says: "keyPrevious" },
  { keys: "C", press: ["c"], action: "compare", says: "keyCompare" },
  { keys: "O", press: ["o"], action: "original", says: "keyOriginal" },
  { keys: "+", press: ["+", "Shift++", "="], action: "zoomIn", says: "keyZoomIn" },
  { keys: "−", press: ["-"], action: "zoomOut", says: "keyZoomOut" },
  { keys: "0", press: ["0"], action: "fit", says: "keyFit" },
  { keys: "1", press: ["1"], action: "full", says: "keyFull" },
  { keys: "Alt+←→↑↓", press: Object.keys(PAN), action: "pan", says: "keyPan" },
  { keys: "G", press: ["g"], action: "background", says: "keyBackground" },
  { keys: "B", press: ["b"], action: "keepBrush", says: "keyKeep" },
  { keys: "E", press: ["e"], action: "removeBrush", says: "keyErase" },
  { keys: "X", press: ["x"], action: "swapBrush", says: "keySwap" },
  { keys: "[", press: ["["], action: "smallerBrush", says: "keySmaller" },
  { keys: "]", press: ["]"], action: "largerBrush", says: "keyLarger" },
  { keys: "Ctrl+Z", press: ["Ctrl+z"], action: "undo", says: "keyUndo" },
  {
    keys: "Ctrl+Shift+Z, Ctrl+Y",
    press: ["Ctrl+Shift+z", "Ctrl+y"],
    action: "redo",
    says: "keyRedo",
  },
  { keys: "Delete", press: ["Delete"], action: "remove", says: "keyRemove" },
  { keys: "Esc", press: ["Escape"], action: "cancel", says: "keyCancel" },
  { keys: "?", press: ["?", "Shift+?"], action: "help", says: "keyHelp" },
];

type Listener<A extends Action> = (detail: Actions[A]) => void;
const listeners = new Map<Action, Set<Listener<never>>>();

/** Be told when something is asked for, until the function that is returned is called. */
export function onAction<A extends Action>(action: A, listener: Listener<A>): () => void {
  const told = listeners.get(action) ?? new Set();
  listeners.set(action, told.add(listener));
  return () => told.delete(listener);
}

/** Ask for something; false if nobody listens. */
export function act<A extends Action>(action: A, detail: Actions[A]): boolean {
  const told = listeners.get(action);
  for (const listener of told ?? []) (listener as Listener<A>)(detail);
  return (told?.size ?? 0) > 0;
}

/** The name of what is pressed, as in `press`. */
export function nameOf(event: KeyboardEvent): string {
  const isTyped = event.getModifierState("AltGraph"); // as "[" is on many keyboards
  const held = [
    (event.ctrlKey && !isTyped) || event.metaKey ? "Ctrl+" : "",
    event.altKey && !isTyped ? "Alt+" : "",
    event.shiftKey ? "Shift+" : "",
  ].join("");
  return held + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

/** Listen to the keyboard; `hasSingleKeys` says whether keys without Ctrl or Alt are on. */
export function listen(hasSingleKeys: () => boolean): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    const key = KEYS.find(({ press }) => press.includes(name));
    if (!key || !mayAct(event, name, hasSingleKeys())) return;
    const detail = key.action === "pan" ? PAN[name] : key.action === "original" ? true : undefined;
    if (act(key.action, detail as never)) event.preventDefault();
  });
  addEventListener("blur", () => act("original", false)); // its key comes up elsewhere
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "o") act("original", false);
  });
}

// Letters belong to fields first, an open dialog has the keyboard to itself, and a selection is
// what Ctrl+C copies.
function mayAct(event: KeyboardEvent, name: string, singleKeys: boolean): boolean {
  const target = event.target instanceof Element ? event.target : null;
  const isSingle = !/^(Ctrl|Alt)\+/.test(name) && name !== "Escape" && name !== "Delete";
  const isText = target?.closest(
    "input:not([type=range], [type=radio], [type=color], [type=checkbox]), select",
  );
  if (document.querySelector("dialog[open]") || (isText && name !== "Escape")) return false;
  if (name === "Ctrl+c" && getSelection()?.isCollapsed === false) return false;
  return !isSingle || singleKeys;
}
