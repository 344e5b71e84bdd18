import type { Rectangle } from "../matting/pixels.js";

/** Where a picture lies on the stage, in CSS pixels. */
export interface Placement {
  /** CSS pixels per pixel of the picture. */
  scale: number;
  /** Of the picture's top left corner on the stage. */
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

const MOST_SCALE = 16;
const STEP = 1.25;

/**
 * The whole picture in the middle of the stage; a small one at most at twice its size.
 *
 * @param margin left free on each side, in CSS pixels.
 */
export function fit(stage: Size, picture: Size, margin = 0): Placement {
  const [width, height] = [stage.width - 2 * margin, stage.height - 2 * margin];
  const scale = Math.min(
    Math.max(1, width) / picture.width,
    Math.max(1, height) / picture.height,
    2,
  );
  return centre(stage, picture, scale);
}

/** The picture at a scale, its middle in the middle of the stage. */
export function centre(stage: Size, picture: Size, scale: number): Placement {
  const x = (stage.width - picture.width * scale) / 2;
  const y = (stage.height - picture.height * scale) / 2;
  return { scale, x, y };
}

/** Scale about a point of the stage that stays where it is. */
export function zoomAt(from: Placement, factor: number, at: { x: number; y: number }): Placement {
  const scale = Math.min(MOST_SCALE, Math.max(0.02, from.scale * factor));
  const ratio = scale / from.scale;
  return { scale, x: at.x - (at.x - from.x) * ratio, y: at.y - (at.y - from.y) * ratio };
}

/** One step in (1) or out (-1), about the middle of the stage. */
export function zoomStep(from: Placement, direction: 1 | -1, stage: Size): Placement {
  return zoomAt(from, STEP ** direction, { x: stage.width / 2, y: stage.height / 2 });
}

/** Move, and keep at least a corner of the picture on the stage. */
export function move(
  from: Placement,
  dx: number,
  dy: number,
  stage: Size,
  picture: Size,
): Placement {
  const keep = 40;
  const clamp = (value: number, extent: number, room: number) =>
    Math.min(room - keep, Math.max(keep - extent, value));
  return {
    scale: from.scale,
    x: clamp(from.x + dx, picture.width * from.scale, stage.width),
    y: clamp(from.y + dy, picture.height * from.scale, stage.height),
  };
}

/** Where a part of a picture lies on the stage. */
export interface Place {
  readonly placement: Placement;
  /** The part, in pixels of the picture; it may reach beyond it. */
  readonly area: { readonly left: number; readonly top: number };
  /** Of the whole picture. */
  readonly size: Size;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** A point of the stage in shares of the picture's width and height. */
export function toPicture({ placement: { scale, x, y }, area, size }: Place, at: Point): Point {
  return {
    x: (area.left + (at.x - x) / scale) / size.width,
    y: (area.top + (at.y - y) / scale) / size.height,
  };
}

/** A point in shares of the picture on the stage. */
export function toStage({ placement: { scale, x, y }, area, size }: Place, at: Point): Point {
  return {
    x: x + (at.x * size.width - area.left) * scale,
    y: y + (at.y * size.height - area.top) * scale,
  };
}

/** The part of a picture that is seen on a stage, in its pixels; null where none of it is. */
export function inView(place: Place, stage: Size): { part: Rectangle; share: number } | null {
  const { width, height } = place.size;
  const hold = (value: number, most: number) => Math.min(most, Math.max(0, Math.round(value)));
  const first = toPicture(place, { x: 0, y: 0 });
  const last = toPicture(place, { x: stage.width, y: stage.height });
  const [left, right] = [hold(first.x * width, width), hold(last.x * width, width)];
  const [top, bottom] = [hold(first.y * height, height), hold(last.y * height, height)];
  const part = { left, top, width: right - left, height: bottom - top };
  if (part.width < 1 || part.height < 1) return null;
  return { part, share: Math.max(part.width, part.height) / Math.max(width, height) };
}
