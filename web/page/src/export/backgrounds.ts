import type { StringKey } from "../strings.js";

/** What can lie behind a cutout: nothing, colours, the picture itself blurred, or another picture. */
export type Background =
  | "none"
  | "white"
  | "black"
  | "colour"
  | `gradient${1 | 2 | 3 | 4}`
  | "blur"
  | "picture";

export const NO_BACKGROUND: Background = "none";

/** In the order of the panel; the stops are from top to bottom. `colour` has the chosen one. */
export const BACKGROUNDS: Readonly<
  Record<Background, { label: StringKey; stops: readonly string[] }>
> = {
  none: { label: "bgNone", stops: [] },
  white: { label: "bgWhite", stops: ["#ffffff"] },
  black: { label: "bgBlack", stops: ["#000000"] },
  colour: { label: "bgColour", stops: [] },
  gradient1: { label: "bgGradient1", stops: ["#fafafa", "#b9bec5"] },
  gradient2: { label: "bgGradient2", stops: ["#dbe8ff", "#5b86d9"] },
  gradient3: { label: "bgGradient3", stops: ["#fff1d9", "#e58f5a"] },
  gradient4: { label: "bgGradient4", stops: ["#e9f7e4", "#5da36f"] },
  blur: { label: "bgBlur", stops: [] },
  picture: { label: "bgPicture", stops: [] },
};

export const BACKGROUND_NAMES = Object.keys(BACKGROUNDS) as Background[];

/** The colours of a background from top to bottom; none if it has others, or is transparent. */
export function stopsOf(background: Background, colour: string): readonly string[] {
  return background === "colour" ? [colour] : BACKGROUNDS[background].stops;
}

/** The same as a CSS background; undefined where there are none. */
export function cssOf(background: Background, colour: string): string | undefined {
  const stops = stopsOf(background, colour);
  return stops.length > 1 ? `linear-gradient(to bottom, ${stops.join(", ")})` : stops[0];
}
