// A soft black shadow beneath or behind the subject: `models/matting/shadow.py`.

import { subjectBox } from "./canvas.js";
import { blur, gaussian } from "./gaussian.js";
import { enlarge, makeGrid } from "./grid.js";
import { type Matte, makeMatte, rounding, whole, widen } from "./pixels.js";
import { averageMatte } from "./reduce.js";

/** The subject's shape, softer and lower; or darkness on the ground where it stands. */
export type Shadow = "drop" | "contact";

/** Longest side of the grid a shadow is made on, in cells; nothing of it is sharper. */
const MOST_CELLS = 320;
// All lengths are shares of the subject's size, the square root of its box's area.
const DROP = { across: 0.035, down: 0.035, lower: 0.035 };
/** What is within this of the lowest point touches the ground. */
const CONTACT_HEIGHT = 0.06;
/** A contact shadow's two halves, the dark one at the ground and the wide one. */
const CONTACT = [
  { across: 0.05, down: 0.012, lower: 0.012 },
  { across: 0.12, down: 0.03, lower: 0.012 },
];
/** The farthest a shadow reaches beyond the box. */
const REACH = 0.4;

/** One value per cell, 0 to 255. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** The subject's size in cells. */
interface Lengths {
  readonly x: number;
  readonly y: number;
}

/** The shadow's opacity; its darkest place has the given one, 0 to 1. It ends with the picture. */
export function castShadow(matte: Matte, kind: Shadow, opacity: number): Matte {
  const shadow = makeMatte(matte);
  const box = subjectBox(matte);
  if (!box) return shadow;
  const size = Math.sqrt(box.width * box.height);
  const part = widen(box, Math.floor(REACH * size) + 1, matte);
  const grid = makeGrid(part, MOST_CELLS);
  const alpha = { ...grid, data: Float32Array.from(averageMatte(matte, grid, part).data) };
  const lengths = { x: size / grid.stepX, y: size / grid.stepY };
  const bottom = (box.top + box.height - part.top) / grid.stepY;
  const cast = kind === "drop" ? blurBelow(alpha, lengths, DROP) : contact(alpha, lengths, bottom);
  const dark = Uint8ClampedArray.from(cast.data, (value) => opacity * value);
  const result = rounding(shadow);
  enlarge(
    { width: grid.width, height: grid.height, channels: 1, data: dark },
    grid,
    whole(part),
    (y, line) => result.set(line, (part.top + y) * matte.width + part.left),
  );
  return shadow;
}

/** What stands on the ground, blurred flat; as dark at its darkest as the subject is opaque. */
function contact(alpha: Plane, size: Lengths, bottom: number): Plane {
  const { width, height } = alpha;
  const feet = alpha.data.slice();
  for (let y = 0; y < height; y++) {
    const above = (bottom - (y + 0.5)) / Math.max(1, CONTACT_HEIGHT * size.y);
    const nearness = Math.min(1, Math.max(0, 1 - above));
    for (let x = 0; x < width; x++) feet[y * width + x]! *= nearness;
  }
  const most = maximum(feet);
  const total = new Float32Array(feet.length);
  for (const softness of CONTACT) {
    const half = blurBelow({ width, height, data: feet }, size, softness).data;
    const share = (0.5 * most) / Math.max(maximum(half), 1e-6);
    for (let i = 0; i < total.length; i++) total[i]! += share * half[i]!;
  }
  return { width, height, data: total };
}

function maximum(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

/** Blur across and down, and move down, by shares of the subject's size. */
function blurBelow({ width, height, data }: Plane, size: Lengths, softness: typeof DROP): Plane {
  const moved = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    const at = Math.min(height - 1, Math.max(0, y - softness.lower * size.y));
    const above = Math.floor(at) * width;
    const below = Math.min(height - 1, Math.floor(at) + 1) * width;
    const share = at - Math.floor(at);
    for (let x = 0; x < width; x++) {
      const value = data[above + x]!;
      moved[y * width + x] = value + share * (data[below + x]! - value);
    }
  }
  const across = weights(softness.across * size.x);
  const down = weights(softness.down * size.y);
  const part = { left: 0, top: 0, width, height };
  const source = { width, height, channels: 1, data: moved };
  blur(source, part, { across, down, border: "nearest" }, (y, line) => moved.set(line, y * width));
  return { width, height, data: moved };
}

function weights(sigma: number): Float64Array {
  return gaussian(sigma, Math.floor(3 * sigma));
}
