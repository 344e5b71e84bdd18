import { boxBlur } from "./box.js";
import type { Colours } from "./pixels.js";

/** Half sides of the windows colours are spread by, widest first, in cells. */
const REACHES = [96, 24, 6];
/** With less certainty than this in a window, colour comes from the wider one, then the picture. */
const FLOOR = 1e-2;
/** How much a cell counts by its opacity: mixtures hardly do. */
const CERTAINTY = Float32Array.from({ length: 256 }, (_, level) => (level / 255) ** 16);

/**
 * Carry certain colours into uncertain cells, from as near as there are any:
 * `models/matting/spread.py`. `opacity` is the share of the wanted layer, 0 to 255; with
 * `inverted` that of the other one. Three whole levels per cell.
 */
export function spread(colours: Colours, opacity: Uint8Array, inverted: boolean): Float32Array {
  const { width, height, data } = colours;
  const cells = width * height;
  const weighted = new Float32Array(4 * cells);
  const result = new Float32Array(3 * cells);
  for (let i = 0; i < cells; i++) {
    const certainty = CERTAINTY[inverted ? 255 - opacity[i]! : opacity[i]!]!;
    for (let c = 0; c < 3; c++) {
      result[3 * i + c] = data[4 * i + c]!;
      weighted[4 * i + c] = certainty * data[4 * i + c]!;
    }
    weighted[4 * i + 3] = certainty;
  }
  for (const reach of REACHES) {
    const near = weighted.slice();
    boxBlur(near, width, height, 4, reach, reach);
    for (let i = 0; i < cells; i++) {
      const share = 1 / (near[4 * i + 3]! + FLOOR);
      for (let c = 0; c < 3; c++) {
        result[3 * i + c] = (near[4 * i + c]! + FLOOR * result[3 * i + c]!) * share;
      }
    }
  }
  return result.map(Math.round);
}
