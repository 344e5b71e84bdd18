/** Runs in a worker: one picture that is being edited, and files made of pictures. */
import type { Dab } from "../matting/brush.js";
import type { Cells } from "../matting/cells.js";
import { cutMatte, maskOf } from "../matting/cutting.js";
import type { Colours, Matte } from "../matting/pixels.js";
import type { Kind } from "../matting/strokes.js";
import { drawn } from "./backdrops.js";
import type { Document, Edit, Patch } from "./document.js";
import { Level, type Pixels } from "./level.js";
import type { Frame, Looks } from "./looks.js";
import { edgeOf, frameOf, render } from "./render.js";

/** Longest side of what is shown while a picture is being edited. */
export const WORKING_SIDE = 1600;

/** The file that was given, and what the service made of it. */
export interface Files {
  readonly source: Blob;
  readonly cutout: Blob;
}

/** What the page has to know of a picture that is open. */
export interface Opened {
  readonly width: number;
  readonly height: number;
  /** False where this browser cannot read the file: then there is nothing to bring back. */
  readonly hasSource: boolean;
}

/** What is shown of a picture. */
export interface Shown {
  readonly picture: ImageBitmap;
  /** The part of the whole picture that this is, in its pixels. */
  readonly frame: Frame;
}

/** A document of the open picture; an edit comes with its number, and only once with all of it. */
export interface Told {
  readonly edits: readonly { readonly n: number; readonly edit?: Edit }[];
  readonly looks: Looks;
}

/** How a file is made. */
export interface Output {
  readonly type: "image/png" | "image/webp" | "image/jpeg";
  /** Of JPEG and WebP, 0 to 1. */
  readonly quality: number;
  readonly what: "picture" | "mask";
  /** Longest side in pixels, nowhere larger than it is; null for as many as there are. */
  readonly longSide: number | null;
}

/** Mean difference, 0 to 1, of what was certain; `docs/decisions/0021-the-editor.md` has the figures. */
const MOST_CONTRADICTION = 0.01;

let level: Level | null = null;
let whole = { width: 1, height: 1 };
const known = new Map<number, Edit>();

/** Begin to edit a picture, and let go of the one before. */
export async function open(files: Files): Promise<Opened> {
  level = null;
  known.clear();
  const { pixels, opened } = await read(files, WORKING_SIDE);
  whole = opened;
  level = new Level(pixels, opened.width);
  level.prepare();
  return opened;
}

/** What a stroke brings to its side, in a document's state. */
export function follow({ edits }: Told, kind: Kind, dabs: readonly Dab[]): Cells {
  return levelWith(edits).follow(kind, dabs);
}

/** Draw a document; all of the picture where `isWhole`, however it is framed. */
export async function show({ edits, looks }: Told, isWhole: boolean): Promise<Shown> {
  const now = levelWith(edits);
  const edge = edgeOf(now, looks);
  const frame = frameOf(now, isWhole ? null : looks.crop, edge);
  const { width, height, data } = await render(now, looks, edge, frame);
  const picture = await createImageBitmap(new ImageData(data, width, height));
  return { picture, frame: isWhole || !looks.crop ? wholeFrame() : times(frame, 1 / now.zoom) };
}

/**
 * What the network says of a part of the picture that it was shown alone.
 *
 * @returns null where it contradicts what was certain: then it has lost sight of the subject.
 */
export async function again({ edits }: Told, rect: Frame, mask: Blob): Promise<Patch | null> {
  const now = levelWith(edits);
  const seen = await createImageBitmap(mask);
  const size = { width: seen.width, height: seen.height };
  const said = redOf(drawn(size, (context) => context.drawImage(seen, 0, 0)));
  const before = cutMatte(now.matte, times(rect, now.zoom));
  const same = redOf(
    drawn(before, (context) => context.drawImage(seen, 0, 0, before.width, before.height)),
  );
  seen.close();
  return contradiction(before, same) > MOST_CONTRADICTION
    ? null
    : { type: "patch", rect, matte: said };
}

/** Make a file of a document, at full size. */
export async function file(files: Files, { edits, looks }: Document, how: Output): Promise<Blob> {
  const { pixels, opened } = await read(files, null);
  const full = new Level(pixels, opened.width);
  full.apply(edits);
  const edge = edgeOf(full, looks);
  const part = frameOf(full, looks.crop, edge);
  const made =
    how.what === "mask" ? maskOf(cutMatte(edge, part)) : await render(full, looks, edge, part);
  return encode(made, how);
}

// The open picture with these edits.
function levelWith(told: Told["edits"]): Level {
  if (!level) throw new Error("no picture is open");
  for (const { n, edit } of told) if (edit) known.set(n, edit);
  level.apply(told.flatMap(({ n }) => known.get(n) ?? []));
  return level;
}

// Not of the level's size, which was rounded.
const wholeFrame = (): Frame => ({ left: 0, top: 0, width: whole.width, height: whole.height });

const times = ({ left, top, width, height }: Frame, by: number): Frame => ({
  left: Math.round(left * by),
  top: Math.round(top * by),
  width: Math.max(1, Math.round(width * by)),
  height: Math.max(1, Math.round(height * by)),
});

async function read(
  files: Files,
  longSide: number | null,
): Promise<{ pixels: Pixels; opened: Opened }> {
  const cutout = await createImageBitmap(files.cutout);
  const source = await createImageBitmap(files.source).catch(() => null);
  const { width, height } = cutout;
  const scale = longSide === null ? 1 : Math.min(1, longSide / Math.max(width, height));
  const size = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  const pixelsOf = (picture: ImageBitmap): Colours => {
    const pixels = drawn(size, (context) =>
      context.drawImage(picture, 0, 0, size.width, size.height),
    );
    picture.close();
    return pixels;
  };
  const hasSource = source !== null && source.width === width && source.height === height;
  const own = pixelsOf(cutout);
  const given = hasSource ? pixelsOf(source) : own;
  const opacity = hasSource ? alphaOf(given) : null;
  return {
    pixels: {
      source: given,
      opacity: opacity?.data.some((value) => value < 255) ? opacity : null,
      cutout: own,
      matte: alphaOf(own),
    },
    opened: { width, height, hasSource },
  };
}

// Of a grey picture.
function redOf({ width, height, data }: Colours): Matte {
  const red = new Uint8Array(width * height);
  for (let i = 0; i < red.length; i += 1) red[i] = data[4 * i] ?? 0;
  return { width, height, data: red };
}

function contradiction(before: Matte, now: Matte): number {
  let [sum, count] = [0, 0];
  for (const [i, value] of before.data.entries()) {
    if (value > 8 && value < 247) continue;
    sum += Math.abs(value - (now.data[i] ?? 0));
    count += 1;
  }
  return sum / 255 / Math.max(1, count);
}

function alphaOf({ width, height, data }: Colours): Matte {
  const alpha = new Uint8Array(width * height);
  for (let i = 0; i < alpha.length; i += 1) alpha[i] = data[4 * i + 3] ?? 0;
  return { width, height, data: alpha };
}

/** @throws Error if this browser cannot write such a file. */
async function encode(made: Colours, { type, quality, longSide }: Output): Promise<Blob> {
  const scale = Math.min(1, (longSide ?? Infinity) / Math.max(made.width, made.height));
  const canvas = new OffscreenCanvas(made.width, made.height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas of this size");
  context.putImageData(new ImageData(made.data, made.width, made.height), 0, 0);
  const sized = scale === 1 ? canvas : resized(canvas, scale);
  const blob = await (type === "image/jpeg" ? onWhite(sized) : sized).convertToBlob({
    type,
    quality,
  });
  if (blob.type !== type) throw new Error(`no ${type} here`);
  return blob;
}

// Halved until less than half is to go: one step over more would leave pixels out.
function resized(canvas: OffscreenCanvas, scale: number): OffscreenCanvas {
  let [from, rest] = [canvas, scale];
  const target = [canvas.width * scale, canvas.height * scale].map((side) =>
    Math.max(1, Math.round(side)),
  );
  while (rest !== 1) {
    const isLast = rest >= 0.5;
    const width = isLast ? (target[0] ?? 1) : Math.ceil(from.width / 2);
    const height = isLast ? (target[1] ?? 1) : Math.ceil(from.height / 2);
    const smaller = new OffscreenCanvas(width, height);
    const context = smaller.getContext("2d");
    if (!context) throw new Error("no canvas of this size");
    context.imageSmoothingQuality = "high";
    context.drawImage(from, 0, 0, width, height);
    from = smaller;
    rest = isLast ? 1 : rest * 2;
  }
  return from;
}

// A JPEG has no transparency.
function onWhite(canvas: OffscreenCanvas): OffscreenCanvas {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas of this size");
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}
