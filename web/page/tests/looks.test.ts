import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { blurBackdrop } from "../src/matting/backdrop.js";
import { subjectBox } from "../src/matting/canvas.js";
import { matchColours } from "../src/matting/colourMatch.js";
import { composite, underlay } from "../src/matting/compositing.js";
import { feather, shiftEdge } from "../src/matting/edges.js";
import { estimateForeground } from "../src/matting/foreground.js";
import { type Colour, type Colours, type Matte, makeMatte } from "../src/matting/pixels.js";
import { place } from "../src/matting/place.js";
import { refineAlpha } from "../src/matting/refine.js";
import { castShadow, type Shadow } from "../src/matting/shadow.js";
import { smoothAlpha } from "../src/matting/smooth.js";
import { readColours, readMatte } from "./png.js";

// The same pictures that hold the service's functions: tests/data/looks/README.md says what they are.
const FOLDER = new URL("../../../tests/data/looks/", import.meta.url);

interface Parameters {
  readonly radius: number;
  readonly pixels: number;
  readonly kind: Shadow;
  readonly opacity: number;
  readonly strength: number;
  readonly sigma: number;
  readonly colour: Colour;
  readonly box: readonly [number, number, number, number];
  readonly epsilon: number;
  readonly low: number;
  readonly high: number;
  readonly max_side: number;
}

interface Vector {
  readonly function: string;
  readonly parameters: Parameters;
  readonly inputs: Record<string, string>;
  readonly output: string;
  readonly tolerance: number;
}

interface Inputs {
  matte: (name?: string) => Matte;
  colours: (name: string) => Colours;
}

/** White in the subject's box, black outside. */
function drawBox(matte: Matte): Matte {
  const drawn = makeMatte(matte);
  const box = subjectBox(matte);
  for (let y = box?.top ?? 0; box && y < box.top + box.height; y++) {
    const first = y * matte.width + box.left;
    drawn.data.fill(255, first, first + box.width);
  }
  return drawn;
}

/** Colours with their opacity as the fourth byte, and black where it is 0. */
function cutout({ colours, matte }: { colours: Colours; matte: Matte }): Colours {
  const data = colours.data.map((value, i) => {
    const alpha = matte.data[i >> 2] ?? 0;
    return i % 4 === 3 ? alpha : alpha && value;
  });
  return { ...colours, data };
}

type Call = (inputs: Inputs, parameters: Parameters) => Matte | Colours;

const FUNCTIONS: Readonly<Record<string, Call>> = {
  feather: ({ matte }, { radius }) => feather(matte(), radius),
  shift_edge: ({ matte }, { pixels }) => shiftEdge(matte(), pixels),
  cast_shadow: ({ matte }, { kind, opacity }) => castShadow(matte(), kind, opacity),
  match_colours: ({ matte, colours }, { strength }) =>
    matchColours(colours("colours"), matte(), colours("background"), strength),
  blur_backdrop: ({ matte, colours }, { sigma }) => blurBackdrop(colours("pixels"), matte(), sigma),
  smooth_alpha: ({ matte }) => smoothAlpha(matte()),
  subject_box: ({ matte }) => drawBox(matte()),
  underlay: ({ matte, colours }, { colour }) =>
    cutout(underlay(colours("colours"), matte(), colour, matte("opacity"))),
  composite: ({ matte, colours }) => composite(colours("colours"), matte(), colours("background")),
  place: ({ matte, colours }, { box: [left, top, width, height] }) => {
    const canvas = matte();
    const box = { left, top, width, height };
    return cutout(place(colours("colours"), canvas, box, canvas.width, canvas.height));
  },
  refine_alpha: ({ matte, colours }, { max_side, ...fit }) =>
    refineAlpha(matte(), colours("source"), { ...fit, maxSide: max_side }),
  estimate_foreground: ({ matte, colours }) => estimateForeground(colours("source"), matte()),
};

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL("vectors.json", FOLDER), "utf-8"),
);

function inputsOf(vector: Vector): Inputs {
  const at = (name: string) => new URL(vector.inputs[name] ?? "", FOLDER);
  return {
    matte: (name = "alpha_u8") => readMatte(at(name)),
    colours: (name) => readColours(at(name)),
  };
}

/** What these give under alpha 0 means nothing. */
const HIDDEN = ["match_colours", "estimate_foreground"];

/** The largest difference, of colours where the matte shows them. */
function largestDifference(made: Matte | Colours, output: URL, shown?: Matte): number {
  const matte = made.data.length === made.width * made.height;
  const expected = matte ? readMatte(output) : readColours(output);
  expect([made.width, made.height]).toEqual([expected.width, expected.height]);
  return Uint8Array.from(expected.data).reduce((most, value, i) => {
    const counts = !shown || shown.data[i >> 2];
    return counts ? Math.max(most, Math.abs(value - (made.data[i] ?? Number.NaN))) : most;
  }, 0);
}

test.each(VECTORS.filter((vector) => vector.function in FUNCTIONS))("$output", (vector) => {
  const inputs = inputsOf(vector);
  const made = FUNCTIONS[vector.function]?.(inputs, vector.parameters);
  if (!made) throw new Error("filtered above");
  const shown = HIDDEN.includes(vector.function) ? inputs.matte() : undefined;
  const most = largestDifference(made, new URL(vector.output, FOLDER), shown);
  expect(most).toBeLessThanOrEqual(vector.tolerance);
});
