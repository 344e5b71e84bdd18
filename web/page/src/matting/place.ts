import { type Colours, type Matte, makeMatte, overlap, type Rectangle, whole } from "./pixels.js";
import { coversOf, resample } from "./resample.js";

/**
 * A whole picture put into a box on a transparent canvas: `place` of `models/matting/canvas.py`.
 * What lies outside is cut off. Colours count by their opacity, so that hidden ones leave no
 * fringe; those under alpha 0 become black. Without a change of size every pixel stays as it is.
 */
export function place(
  colours: Colours,
  matte: Matte,
  box: Rectangle,
  width: number,
  height: number,
): { colours: Colours; matte: Matte } {
  const opacity = makeMatte({ width, height });
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  const seen = overlap(box, whole(opacity));
  const across = coversOf(matte.width, box.width).slice(seen.left - box.left);
  const down = coversOf(matte.height, box.height).slice(seen.top - box.top);
  const add = (y: number, weight: number, sums: Float64Array) => {
    for (let x = 0, i = y * matte.width; x < matte.width; x++, i++) {
      const alpha = weight * matte.data[i]!;
      sums[4 * x]! += alpha * colours.data[4 * i]!;
      sums[4 * x + 1]! += alpha * colours.data[4 * i + 1]!;
      sums[4 * x + 2]! += alpha * colours.data[4 * i + 2]!;
      sums[4 * x + 3]! += alpha;
    }
  };
  const take = (y: number, line: Float32Array) => {
    for (let i = 0, to = (seen.top + y) * width + seen.left; i < line.length; i += 4, to++) {
      const alpha = line[i + 3]!;
      opacity.data[to] = alpha + 0.5;
      if (opacity.data[to] === 0) continue;
      for (let c = 0; c < 3; c++) data[4 * to + c] = line[i + c]! / alpha;
    }
  };
  const sums = new Float64Array(4 * matte.width);
  resample(across.slice(0, seen.width), down.slice(0, seen.height), 4, sums, add, take);
  return { colours: { width, height, data }, matte: opacity };
}
