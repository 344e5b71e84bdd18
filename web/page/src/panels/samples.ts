import astronaut from "../../../../examples/photos/astronaut.jpg";
import chelsea from "../../../../examples/photos/chelsea.jpg";
import coffee from "../../../../examples/photos/coffee.jpg";
import type { StringKey } from "../strings.js";

/** Pictures to try the page with; where they come from stands in NOTICE. */
export const SAMPLES: readonly { url: string; name: string; label: StringKey }[] = [
  { url: astronaut, name: "astronaut.jpg", label: "sampleAstronaut" },
  { url: chelsea, name: "cat.jpg", label: "sampleCat" },
  { url: coffee, name: "cup.jpg", label: "sampleCup" },
];
