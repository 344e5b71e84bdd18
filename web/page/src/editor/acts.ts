/** What somebody does to the open picture; each is a step that can be undone. */
import { announce, find, get, type Picture, page, set, type Tool, update } from "../store.js";
import { say } from "../strings.js";
import {
  begin,
  type Document,
  type Edit,
  type History,
  redo,
  settle,
  step,
  undo,
} from "./document.js";
import { forOthers, type Looks } from "./looks.js";

/** Change looks; a slider says which one it is, so that all of its way is one step. */
export function changeLooks(
  id: number,
  change: Partial<Looks>,
  slider: string | null = null,
): void {
  alter(id, (history) => {
    const looks = { ...history.now.looks, ...change };
    return step(history, { ...history.now, looks }, slider);
  });
}

/** A slider has been let go: the next move is a step of its own. */
export const letGo = (id: number): void => alter(id, settle);

export function addEdit(id: number, edit: Edit): void {
  alter(id, (history) => step(history, { ...history.now, edits: [...history.now.edits, edit] }));
}

let making: Promise<unknown> = Promise.resolve();

/** Do something that does not fail, after all strokes that are still being made: they were first. */
export function afterStrokes(work: () => unknown): void {
  making = making.then(work);
}

export function undoEdit(id: number): void {
  afterStrokes(() => alter(id, undo, say("undone")));
}

export function redoEdit(id: number): void {
  afterStrokes(() => alter(id, redo, say("redone")));
}

/** Back to what the service made. That is a step as well. */
export function startOver(id: number): void {
  afterStrokes(() => alter(id, (history) => step(history, begin().now)));
}

/** Give all pictures, and those to come, the looks of one. Strokes are of the one picture. */
export function applyToAll(id: number): void {
  const looks = find(id)?.history.now.looks;
  if (!looks) return;
  const shared = forOthers(looks);
  set({ looks: shared });
  for (const other of get().pictures) {
    if (other.id === id) continue;
    alter(other.id, (history) => step(history, { ...history.now, looks: shared }));
  }
  announce(say("appliedToAll"), true);
}

export function chooseTool(tool: Tool): void {
  set({ tool: get().tool === tool ? "move" : tool });
}

export function sizeBrush(factor: number): void {
  const { brush } = get();
  const size = Math.round(Math.min(MOST_BRUSH, Math.max(LEAST_BRUSH, brush.size * factor)));
  set({ brush: { ...brush, size } });
}

export const LEAST_BRUSH = 4;
export const MOST_BRUSH = 200;

/** The document of a picture, with the strokes that are still being made. */
export async function documentOf({ id, history }: Picture): Promise<Document> {
  await making;
  return (find(id)?.history ?? history).now;
}

function alter(id: number, how: (history: History) => History, said?: string): void {
  const before = find(id)?.history;
  if (!before) return;
  const history = how(before);
  if (history === before || (said && history.now === before.now)) return;
  update(id, { history });
  if (said) announce(said);
}

// The crop tool is of one picture; a brush stays in the hand.
page.subscribe((now, before) => {
  if (now.openId !== before.openId && now.tool === "crop") set({ tool: "move" });
});
