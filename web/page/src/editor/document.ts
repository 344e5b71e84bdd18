/** What somebody has made of a picture: values, never pixels, so that nothing of it is lost. */
import type { Dab } from "../matting/brush.js";
import type { Cells } from "../matting/cells.js";
import type { Matte, Rectangle } from "../matting/pixels.js";
import type { Kind } from "../matting/strokes.js";
import { type Looks, PLAIN } from "./looks.js";

/** A stroke of the brush, in shares of the picture, and so at any size. */
export interface Stroke {
  readonly type: "stroke";
  readonly kind: Kind;
  readonly dabs: readonly Dab[];
  /** What else it brings to its side; null for what lies under it alone. */
  readonly cells: Cells | null;
}

/** A part of the picture that the network has looked at again. */
export interface Patch {
  readonly type: "patch";
  /** Where, in pixels of the whole picture. */
  readonly rect: Rectangle;
  /** What it said of that. */
  readonly matte: Matte;
}

export type Edit = Stroke | Patch;

export interface Document {
  readonly edits: readonly Edit[];
  readonly looks: Looks;
}

/** What was, what is, and what was undone. */
export interface History {
  readonly past: readonly Document[];
  readonly now: Document;
  readonly future: readonly Document[];
  /** What the last step changed, while it may still go on; a slider that moves on is one step. */
  readonly open: string | null;
}

export const UNTOUCHED: Document = { edits: [], looks: PLAIN };

export const begin = (looks: Looks = PLAIN): History => ({
  past: [],
  now: { edits: [], looks },
  future: [],
  open: null,
});

/** One step more; steps of the same name that is given follow on from each other until `settle`. */
export function step(history: History, now: Document, name: string | null = null): History {
  const goesOn = name !== null && name === history.open;
  const past = goesOn ? history.past : [...history.past, history.now];
  return { past, now, future: [], open: name };
}

/** The next step is one of its own. */
export const settle = (history: History): History =>
  history.open === null ? history : { ...history, open: null };

export function undo({ past, now, future, ...rest }: History): History {
  const before = past.at(-1);
  if (!before) return { past, now, future, ...rest };
  return { past: past.slice(0, -1), now: before, future: [now, ...future], open: null };
}

export function redo({ past, now, future, ...rest }: History): History {
  const [after, ...later] = future;
  if (!after) return { past, now, future, ...rest };
  return { past: [...past, now], now: after, future: later, open: null };
}
