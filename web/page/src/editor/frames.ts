/** The part of a picture that is taken, moved by hand. */
import type { Frame } from "./looks.js";

export type Grip = "move" | "topLeft" | "topRight" | "bottomLeft" | "bottomRight";

/** No side is shorter than this, in pixels, or longer than so many times the picture's. */
const LEAST = 16;
const MOST = 3;

/**
 * Move a frame, or one of its corners, and then the opposite one stays. It may reach beyond the
 * picture, but not lie beside it.
 */
export function moveFrame(
  from: Frame,
  grip: Grip,
  dx: number,
  dy: number,
  picture: { width: number; height: number },
): Frame {
  const { left, top, width, height } = held(from, picture);
  const [x, y] = [whole(dx), whole(dy)];
  if (grip === "move") return held({ left: left + x, top: top + y, width, height }, picture);
  const across = grip.endsWith("Left")
    ? moveFirst(left, width, x, picture.width)
    : moveLast(left, width, x, picture.width);
  const down = grip.startsWith("top")
    ? moveFirst(top, height, y, picture.height)
    : moveLast(top, height, y, picture.height);
  return { left: across.first, top: down.first, width: across.length, height: down.length };
}

function moveFirst(first: number, length: number, by: number, most: number) {
  const last = first + length;
  const moved = clamp(first + by, last - MOST * most, Math.min(last - leastOf(most), most - 1));
  return { first: moved, length: last - moved };
}

function moveLast(first: number, length: number, by: number, most: number) {
  const last = clamp(first + length + by, Math.max(first + leastOf(most), 1), first + MOST * most);
  return { first, length: last - first };
}

/** Whole pixels, within bounds. */
export function held(frame: Frame, picture: { width: number; height: number }): Frame {
  const width = clamp(Math.round(frame.width), LEAST, MOST * picture.width);
  const height = clamp(Math.round(frame.height), LEAST, MOST * picture.height);
  return {
    left: clamp(Math.round(frame.left), 1 - width, picture.width - 1),
    top: clamp(Math.round(frame.top), 1 - height, picture.height - 1),
    width,
    height,
  };
}

// Less for a picture that is tiny itself.
const leastOf = (most: number): number => Math.min(LEAST, MOST * most);

const whole = (by: number): number => (Number.isFinite(by) ? Math.round(by) : 0);

const clamp = (value: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, Number.isFinite(value) ? value : least));
