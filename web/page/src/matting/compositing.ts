// Layers over each other: `models/matting/compositing.py`.

import { type Colour, type Colours, copyColours, copyMatte, type Matte } from "./pixels.js";

/** Lay a subject over a picture of the same size, or over one colour. */
export function composite(colours: Colours, matte: Matte, background: Colours | Colour): Colours {
  const laid = copyColours(colours);
  const behind = "data" in background ? background.data : background;
  const step = "data" in background ? 4 : 0;
  for (let pixel = 0, i = 0, from = 0; pixel < matte.data.length; pixel++, i += 4, from += step) {
    const alpha = matte.data[pixel]! / 255;
    if (alpha === 1) continue;
    for (let c = 0; c < 3; c++) {
      laid.data[i + c] = alpha * colours.data[i + c]! + (1 - alpha) * behind[from + c]!;
    }
  }
  return laid;
}

/**
 * Put a layer of one colour, such as a shadow, beneath a picture: the colours and the opacity of
 * both together. Where the layer is transparent or the picture opaque, nothing changes.
 */
export function underlay(
  colours: Colours,
  matte: Matte,
  colour: Colour,
  opacity: Matte,
): { colours: Colours; matte: Matte } {
  const laid = copyColours(colours);
  const together = copyMatte(matte);
  for (let pixel = 0, i = 0; pixel < matte.data.length; pixel++, i += 4) {
    const alpha = matte.data[pixel]!;
    const behind = (opacity.data[pixel]! * (255 - alpha)) / 255;
    if (behind === 0) continue;
    const share = alpha / (alpha + behind);
    for (let c = 0; c < 3; c++) {
      laid.data[i + c] = share * colours.data[i + c]! + (1 - share) * colour[c]!;
    }
    together.data[pixel] = alpha + behind + 0.5;
  }
  return { colours: laid, matte: together };
}
