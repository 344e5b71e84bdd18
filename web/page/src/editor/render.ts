/** A level and looks -> the picture to show or to save. */

import { stopsOf } from "../export/backgrounds.js";
import { blurBackdrop } from "../matting/backdrop.js";
import { subjectBox } from "../matting/canvas.js";
import { matchColours } from "../matting/colourMatch.js";
import { composite, underlay } from "../matting/compositing.js";
import { cutColours, cutMatte, opaque, straighten } from "../matting/cutting.js";
import { feather, shiftEdge } from "../matting/edges.js";
import type { Colour, Colours, Matte } from "../matting/pixels.js";
import { castShadow } from "../matting/shadow.js";
import { smoothAlpha } from "../matting/smooth.js";
import { drawBackdrop, drawStops } from "./backdrops.js";
import type { Level } from "./level.js";
import type { Crop, Frame, Looks } from "./looks.js";

/** What was made, straight: red, green, blue, alpha. */
export interface Rendered {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** The edge as the looks have it: smoothed, moved, softened, nowhere more opaque than the picture. */
export function edgeOf({ matte, opacity, zoom }: Level, looks: Looks): Matte {
  const smoothed = looks.smooth > 0 ? smoothAlpha(matte, looks.smooth * zoom) : matte;
  const shifted = looks.shift === 0 ? smoothed : shiftEdge(smoothed, looks.shift * zoom);
  const soft = looks.feather > 0 ? feather(shifted, looks.feather * zoom) : shifted;
  if (!opacity) return soft;
  const data = soft.data.map((value, i) => Math.min(value, opacity.data[i] ?? 255));
  return { ...soft, data };
}

// How far out that may bring the edge: a blur ends at three standard deviations.
const reachOf = ({ smooth, shift, feather }: Looks): number =>
  Math.max(0, shift) + 3 * (smooth + feather);

/** The part of the picture that is taken, in pixels of the level. */
export function frameOf(level: Level, crop: Crop | null, edge: Matte): Frame {
  const whole = { left: 0, top: 0, width: edge.width, height: edge.height };
  if (!crop) return whole;
  if (crop.to === "frame") return atZoom(crop, level.zoom);
  const box = subjectBox(edge) ?? whole;
  const room = Math.round((crop.margin / 100) * Math.max(box.width, box.height));
  const [width, height] = [box.width + 2 * room, box.height + 2 * room];
  const side = Math.max(width, height);
  const more = crop.square ? [side - width, side - height] : [0, 0];
  return {
    left: box.left - room - Math.floor((more[0] ?? 0) / 2),
    top: box.top - room - Math.floor((more[1] ?? 0) / 2),
    width: width + (more[0] ?? 0),
    height: height + (more[1] ?? 0),
  };
}

const atZoom = (frame: Frame, zoom: number): Frame => ({
  left: Math.round(frame.left * zoom),
  top: Math.round(frame.top * zoom),
  width: Math.max(1, Math.round(frame.width * zoom)),
  height: Math.max(1, Math.round(frame.height * zoom)),
});

/** Make the picture, the part of it in a frame. */
export async function render(level: Level, looks: Looks, edge: Matte, frame: Frame) {
  level.spread(reachOf(looks) * level.zoom);
  const matte = cutMatte(edge, frame);
  const behind = await backdropOf(level, looks, frame);
  const own = cutColours(level.colours, frame);
  const colours = behind && looks.match > 0 ? matchColours(own, matte, behind, looks.match) : own;
  const cutout =
    looks.shadow === "none"
      ? { colours, matte }
      : underlay(colours, matte, [0, 0, 0], castShadow(matte, looks.shadow, looks.shadowOpacity));
  return behind
    ? opaque(composite(cutout.colours, cutout.matte, behind))
    : straighten(cutout.colours, cutout.matte);
}

// A blurred picture stays where it is behind its subject; beyond it, its border goes on.
async function backdropOf(
  level: Level,
  looks: Looks,
  frame: Frame,
): Promise<Colours | Colour | null> {
  const { background, blur } = looks;
  if (background === "blur") {
    const sigma = (blur / 100) * Math.max(level.source.width, level.source.height);
    return cutColours(blurBackdrop(level.source, level.matte, sigma), frame);
  }
  if (background === "picture")
    return looks.backdrop && drawBackdrop(looks.backdrop, looks.fit, frame);
  const stops = stopsOf(background, looks.colour);
  if (stops.length === 1) return colourOf(stops[0] ?? "#000000");
  return stops.length === 0 ? null : drawStops(stops, frame);
}

const colourOf = (hex: string): Colour => [
  Number.parseInt(hex.slice(1, 3), 16),
  Number.parseInt(hex.slice(3, 5), 16),
  Number.parseInt(hex.slice(5, 7), 16),
];
