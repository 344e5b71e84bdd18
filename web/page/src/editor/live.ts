/** The worker that draws the open picture, and what is asked of it. */
import { type Finished, isFinished } from "../export/result.js";
import type { Dab } from "../matting/brush.js";
import type { Kind } from "../matting/strokes.js";
import { page } from "../store.js";
import type { Document, Edit } from "./document.js";
import type { Frame } from "./looks.js";
import { keepWorker, Remote } from "./remote.js";
import type { Opened, Shown, Told } from "./session.js";

interface Open {
  readonly picture: Finished;
  readonly remote: Remote;
  readonly opened: Promise<Opened>;
  /** The edits that the worker has been told, by its numbers for them. */
  readonly told: Map<Edit, number>;
}

let open: Open | null = null;

/** Have a picture ready to be edited; the worker holds one at a time. */
export function prepare(picture: Finished): Promise<Opened> {
  return opening(picture).opened;
}

export async function follow(picture: Finished, now: Document, kind: Kind, dabs: readonly Dab[]) {
  const open = opening(picture);
  return open.remote.call("follow", tell(open, now), kind, dabs);
}

export async function show(picture: Finished, now: Document, isWhole: boolean): Promise<Shown> {
  const open = opening(picture);
  return open.remote.call("show", tell(open, now), isWhole);
}

export async function again(picture: Finished, now: Document, rect: Frame, mask: Blob) {
  const open = opening(picture);
  return open.remote.call("again", tell(open, now), rect, mask);
}

// A picture that is taken off the list gives its memory back; should it come back, it begins anew.
page.subscribe(({ pictures }) => {
  if (!open || pictures.some(({ id }) => id === open?.picture.id)) return;
  open.remote.close();
  open = null;
});

const stopWaiting = page.subscribe(({ pictures }) => {
  if (!pictures.some(isFinished)) return;
  stopWaiting();
  keepWorker();
});

// Each edit is sent once: the worker would take a copy of it for another one, and do all anew.
function tell({ told }: Open, { edits, looks }: Document): Told {
  const ns = edits.map((edit) => {
    const n = told.get(edit);
    if (n !== undefined) return { n };
    told.set(edit, told.size);
    return { n: told.size - 1, edit };
  });
  return { edits: ns, looks };
}

function opening(picture: Finished): Open {
  const { file, cutout } = picture;
  const isSame = open?.picture.file === file && open.picture.cutout.blob === cutout.blob;
  if (open && isSame && !open.remote.isOver) return open;
  const remote = open && !open.remote.isOver ? open.remote : new Remote();
  const opened = remote.call("open", { source: file, cutout: cutout.blob });
  opened.catch(() => undefined); // whoever asks is told
  open = { picture, remote, opened, told: new Map() };
  return open;
}
