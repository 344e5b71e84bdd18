import type { Cutout, Picture } from "../store.js";
import { type Background, stopsOf } from "./backgrounds.js";

/** A picture of the list that is done. */
export type Finished = Picture & { cutout: Cutout };

export const isFinished = (picture: Picture | undefined): picture is Finished =>
  picture?.stage === "done" && picture.cutout !== null;

/**
 * The file to take home: the service's own bytes, or a PNG with the background that is shown.
 *
 * @throws Error if this browser has no canvas of that size.
 */
export async function resultOf(
  { cutout }: Finished,
  background: Background,
  colour: string,
): Promise<Blob> {
  const stops = stopsOf(background, colour);
  return stops.length === 0 ? cutout.blob : layOn(cutout.blob, stops);
}

async function layOn(cutout: Blob, stops: readonly string[]): Promise<Blob> {
  const subject = await createImageBitmap(cutout);
  const { width, height } = subject;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw new Error("no canvas of this size");
  const fill = context.createLinearGradient(0, 0, 0, height);
  for (const [i, stop] of stops.entries())
    fill.addColorStop(i / Math.max(1, stops.length - 1), stop);
  context.fillStyle = fill;
  context.fillRect(0, 0, width, height);
  context.drawImage(subject, 0, 0);
  subject.close();
  return canvas.convertToBlob({ type: "image/png" });
}

// What no system takes in a name, control characters, and marks that turn the writing direction.
const NOT_IN_NAMES = /[\p{Cc}\p{Bidi_Control}/\\:*?"<>|]/gu;

/** A file name of a picture's own name that is safe on every system. */
export function fileNameOf(name: string): string {
  const stem = name.replace(/\.[a-z0-9]{1,5}$/i, "").replace(NOT_IN_NAMES, "_");
  const tame = stem.replace(/^[. ]+|[. ]+$/g, "");
  const short = [...tame].slice(0, 100).join("");
  return `${short || "picture"}-cutout.png`;
}

/** The same for many, none of them twice. */
export function fileNamesOf(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const wanted = fileNameOf(name);
    let free = wanted;
    for (let n = 2; taken.has(free.toLowerCase()); n += 1)
      free = wanted.replace(/\.png$/, `-${n}.png`);
    taken.add(free.toLowerCase());
    return free;
  });
}
