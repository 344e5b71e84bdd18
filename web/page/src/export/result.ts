import type { Output } from "../editor/session.js";
import type { Cutout, Picture } from "../store.js";

/** A picture of the list that is done. */
export type Finished = Picture & { cutout: Cutout };

export const isFinished = (picture: Picture | undefined): picture is Finished =>
  picture?.stage === "done" && picture.cutout !== null;

// What no system takes in a name, control characters, and marks that turn the writing direction.
const NOT_IN_NAMES = /[\p{Cc}\p{Bidi_Control}/\\:*?"<>|]/gu;

const ENDINGS = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" } as const;
type Kind = Pick<Output, "type" | "what">;

/** A file name of a picture's own name that is safe on every system. */
export function fileNameOf(name: string, { type, what }: Kind): string {
  const stem = name.replace(/\.[a-z0-9]{1,5}$/i, "").replace(NOT_IN_NAMES, "_");
  const tame = stem.replace(/^[. ]+|[. ]+$/g, "");
  const short = [...tame].slice(0, 100).join("");
  return `${short || "picture"}-${what === "mask" ? "mask" : "cutout"}.${ENDINGS[type]}`;
}

/** The same for many, none of them twice. */
export function fileNamesOf(names: readonly string[], kind: Kind): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const wanted = fileNameOf(name, kind);
    let free = wanted;
    for (let n = 2; taken.has(free.toLowerCase()); n += 1)
      free = wanted.replace(/\.\w+$/, `-${n}$&`);
    taken.add(free.toLowerCase());
    return free;
  });
}
