import { useCallback, useEffect, useRef, useState } from "react";
import type { Document } from "../editor/document.js";
import { prepare, show } from "../editor/live.js";
import type { Frame } from "../editor/looks.js";
import { isPlainBut } from "../editor/looks.js";
import type { Opened, Shown } from "../editor/session.js";
import { isFinished } from "../export/result.js";
import { announce, find, type Picture } from "../store.js";
import { say } from "../strings.js";

/** The open picture as it is edited. */
export interface Edited {
  /** The part of the picture that is shown, in its pixels; null while the cutout itself is. */
  readonly frame: Frame | null;
  /** What the worker knows of the picture, once something needed it. */
  readonly opened: Opened | null;
  /** Where it is drawn. */
  readonly canvas: (element: HTMLCanvasElement | null) => void;
}

/**
 * Draws a picture's document as it changes; the newest one counts, older ones are passed over.
 *
 * @param isWhole all of it, however it is cropped: for a tool, which may be used anywhere.
 */
export function useEdited(picture: Picture, isWhole: boolean): Edited {
  const element = useRef<HTMLCanvasElement | null>(null);
  const [frame, setFrame] = useState<Frame | null>(null);
  const [opened, setOpened] = useState<Opened | null>(null);
  const newest = useRef<Shown | null>(null);
  const finished = isFinished(picture) ? picture : null;
  const now = picture.history.now;
  const isDrawn = finished !== null && isMade(now, isWhole);
  const queue = useRef(new Newest()).current;
  useEffect(() => {
    if (finished && (isWhole || isDrawn)) void prepare(finished).then(setOpened, () => undefined);
  }, [finished, isWhole, isDrawn]);
  useEffect(() => {
    if (!finished || !isDrawn) return setFrame(null);
    let isOld = false;
    queue.ask(async () => {
      if (isOld) return;
      const shown = await show(finished, now, isWhole).catch(() => null);
      if (isOld) return shown?.picture.close();
      if (!shown) return fail(finished.id);
      newest.current?.picture.close();
      newest.current = shown;
      setFrame(shown.frame);
      paint(element.current, shown);
    });
    return () => {
      isOld = true;
    };
  }, [finished, now, isWhole, isDrawn, queue]);
  const canvas = useCallback((made: HTMLCanvasElement | null) => {
    element.current = made;
    if (made && newest.current) paint(made, newest.current);
  }, []);
  useEffect(() => () => newest.current?.picture.close(), []);
  return { frame: isDrawn ? frame : null, opened, canvas };
}

const isMade = ({ edits, looks }: Document, isWhole: boolean): boolean =>
  edits.length > 0 || !(isPlainBut(looks) || (isWhole && isPlainBut({ ...looks, crop: null })));

// A picture that was taken off the list meanwhile is nobody's concern.
function fail(id: number): void {
  if (find(id)) announce(say("errEdit"), true);
}

function paint(canvas: HTMLCanvasElement | null, { picture }: Shown): void {
  if (!canvas || picture.width === 0) return;
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  const context = canvas.getContext("2d");
  context?.clearRect(0, 0, canvas.width, canvas.height);
  context?.drawImage(picture, 0, 0);
  performance.mark("drawn");
}

/** Does one thing at a time; of those that wait, only the newest. */
class Newest {
  private next: (() => Promise<void>) | null = null;
  private isBusy = false;

  ask(work: () => Promise<void>): void {
    this.next = work;
    if (!this.isBusy) void this.run();
  }

  private async run(): Promise<void> {
    this.isBusy = true;
    while (this.next) {
      const work = this.next;
      this.next = null;
      await work();
    }
    this.isBusy = false;
  }
}
