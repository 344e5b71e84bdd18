// The subject in a new background's light, a little: `models/matting/colour_match.py`.

import { blur, gaussian } from "./gaussian.js";
import { type Colour, type Colours, copyColours, type Matte, whole } from "./pixels.js";

/** The strength that came nearest to the truth where it is known. */
export const RECOMMENDED_STRENGTH = 0.35;

/** What is added to each colour in OKLab: lightness (white is 1), green-red, blue-yellow. */
export type Move = readonly [number, number, number];

type Matrix = readonly [Move, Move, Move];

/** The farthest a colour is moved: lightness, and the two axes of colour together. */
const MOST_LIGHTNESS = 0.08;
const MOST_COLOUR = 0.08;
/** About so many pixels are looked at. */
const SAMPLE = 60_000;
const OPAQUE = 250;
/** The background counts by its nearness to the subject: a Gaussian of this share of a side. */
const AROUND = 0.1;
/** Light as an index: a step near black is a twentieth of a step of sRGB. */
const LEVELS = 65_535;

// Ottosson, "A perceptual color space for image processing" (2020); the last two are the inverses.
const TO_CONES: Matrix = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_LAB: Matrix = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
];
const FROM_CONES = invert(TO_CONES);
const FROM_LAB = invert(TO_LAB);

/** Move the subject's mean colour a share of the way (0 to 1) towards the background's. */
export function matchColours(
  colours: Colours,
  matte: Matte,
  background: Colours | Colour,
  strength: number,
): Colours {
  return moveColours(colours, matte, findMove(colours, matte, background), strength);
}

/**
 * From the subject's mean to the background's, which is of the same size or one colour. Found on a
 * small picture, it holds for the large one, and for any strength.
 */
export function findMove(colours: Colours, matte: Matte, background: Colours | Colour): Move {
  const sample = lookAt(matte);
  const subject = mean(colours, sample.pixels, sample.opaque);
  if (!subject) return [0, 0, 0];
  const around = weighAround(sample);
  const behind =
    "data" in background
      ? (mean(background, sample.pixels, around) ??
        // Nothing is seen of it; what is hidden is the best guess.
        mean(background, sample.pixels, around.fill(1)))
      : toLab(...background);
  if (!behind) return [0, 0, 0];
  return [behind[0] - subject[0], behind[1] - subject[1], behind[2] - subject[2]];
}

/** A share of a move, held to what looks natural. */
function held([lightness, red, yellow]: Move, strength: number): Move {
  const length = strength * Math.hypot(red, yellow);
  const share = strength * Math.min(1, MOST_COLOUR / Math.max(length, 1e-9));
  const light = Math.min(MOST_LIGHTNESS, Math.max(-MOST_LIGHTNESS, strength * lightness));
  return [light, share * red, share * yellow];
}

/** Some of a matte's pixels: every k-th row and column. */
function lookAt({ width, height, data }: Matte) {
  const step = Math.max(1, Math.ceil(Math.sqrt(data.length / SAMPLE)));
  const columns = Math.ceil(width / step);
  const rows = Math.ceil(height / step);
  const pixels = new Uint32Array(columns * rows);
  const opaque = new Float32Array(pixels.length);
  const rest = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const pixel = Math.floor(i / columns) * step * width + (i % columns) * step;
    pixels[i] = pixel;
    opaque[i] = data[pixel]! >= OPAQUE ? 1 : 0;
    rest[i] = 1 - data[pixel]! / 255;
  }
  return { width: columns, height: rows, pixels, opaque, rest };
}

/** How much each pixel of the background counts. */
function weighAround({ width, height, opaque, rest }: ReturnType<typeof lookAt>): Float32Array {
  const sigma = AROUND * Math.max(width, height);
  const weights = gaussian(sigma, Math.max(1, Math.round(4 * sigma)));
  const source = { width, height, channels: 1, data: opaque };
  const around = new Float32Array(opaque.length);
  blur(source, whole(source), { across: weights, down: weights, border: "mirror" }, (y, line) => {
    for (let x = 0, i = y * width; x < width; x++, i++) around[i] = line[x]! * rest[i]!;
  });
  return around;
}

/** The weighted mean in OKLab; none where nothing counts. */
function mean({ data }: Colours, pixels: Uint32Array, weights: Float32Array): Move | undefined {
  let [total, lightness, red, yellow] = [0, 0, 0, 0];
  for (let i = 0; i < pixels.length; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    const at = 4 * pixels[i]!;
    const lab = toLab(data[at]!, data[at + 1]!, data[at + 2]!);
    total += weight;
    lightness += weight * lab[0];
    red += weight * lab[1];
    yellow += weight * lab[2];
  }
  return total > 0 ? [lightness / total, red / total, yellow / total] : undefined;
}

function toLab(red: number, green: number, blue: number): Move {
  const { light, root } = tables();
  const [l, m, s] = multiply(TO_CONES, light[red]!, light[green]!, light[blue]!);
  return multiply(TO_LAB, root[index(l)]!, root[index(m)]!, root[index(s)]!);
}

/**
 * Make so much of a move (0 to 1) where there is alpha. To add to OKLab is to add to the cube roots
 * of the cones' light.
 */
export function moveColours(colours: Colours, matte: Matte, move: Move, strength: number): Colours {
  const moved = copyColours(colours);
  const shift = held(move, strength);
  if (shift.every((part) => part === 0)) return moved;
  const { light, root, level } = tables();
  const [[rl, gl, bl], [rm, gm, bm], [rs, gs, bs]] = TO_CONES;
  const [[lr, mr, sr], [lg, mg, sg], [lb, mb, sb]] = FROM_CONES;
  const [long, middle, short] = multiply(FROM_LAB, ...shift);
  const { data } = moved;
  for (let pixel = 0, i = 0; pixel < matte.data.length; pixel++, i += 4) {
    if (matte.data[pixel] === 0) continue;
    const r = light[data[i]!]!;
    const g = light[data[i + 1]!]!;
    const b = light[data[i + 2]!]!;
    const l = cube(root[index(rl * r + gl * g + bl * b)]! + long);
    const m = cube(root[index(rm * r + gm * g + bm * b)]! + middle);
    const s = cube(root[index(rs * r + gs * g + bs * b)]! + short);
    data[i] = level[index(lr * l + mr * m + sr * s)]!;
    data[i + 1] = level[index(lg * l + mg * m + sg * s)]!;
    data[i + 2] = level[index(lb * l + mb * m + sb * s)]!;
  }
  return moved;
}

function index(light: number): number {
  return Math.min(LEVELS, Math.max(0, light * LEVELS + 0.5)) | 0;
}

function cube(value: number): number {
  return value * value * value;
}

interface Tables {
  /** Light, 0 to 1, of each level of sRGB. */
  readonly light: Float64Array;
  /** Cube root of light, and its level of sRGB, in `LEVELS` steps. */
  readonly root: Float64Array;
  readonly level: Uint8ClampedArray;
}

let made: Tables | undefined;

/** Made when they are first needed. */
function tables(): Tables {
  made ??= {
    light: Float64Array.from({ length: 256 }, (_, i) => decode(i / 255)),
    root: Float64Array.from({ length: LEVELS + 1 }, (_, i) => Math.cbrt(i / LEVELS)),
    level: Uint8ClampedArray.from({ length: LEVELS + 1 }, (_, i) => 255 * encode(i / LEVELS)),
  };
  return made;
}

function decode(level: number): number {
  return level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4;
}

function encode(light: number): number {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
}

function multiply([first, second, third]: Matrix, x: number, y: number, z: number): Move {
  return [
    first[0] * x + first[1] * y + first[2] * z,
    second[0] * x + second[1] * y + second[2] * z,
    third[0] * x + third[1] * y + third[2] * z,
  ];
}

function invert([[a, b, c], [d, e, f], [g, h, i]]: Matrix): Matrix {
  const first = e * i - f * h;
  const second = f * g - d * i;
  const third = d * h - e * g;
  const share = 1 / (a * first + b * second + c * third);
  return [
    [first * share, (c * h - b * i) * share, (b * f - c * e) * share],
    [second * share, (a * i - c * g) * share, (c * d - a * f) * share],
    [third * share, (b * g - a * h) * share, (a * e - b * d) * share],
  ];
}
