/** How a cutout is to look: everything but strokes, so that it may be the same for many pictures. */
import { type Background, NO_BACKGROUND } from "../export/backgrounds.js";

/** A picture to lay behind a cutout. */
export interface Backdrop {
  /** Never the same twice. */
  readonly id: number;
  readonly name: string;
  readonly blob: Blob;
}

/** The part of the picture that is taken, in pixels; it may reach beyond the picture. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The subject with room around it. */
export interface SubjectFrame {
  /** Room on each side, in percent of the subject's longer side. */
  readonly margin: number;
  /** Whether the shorter side is given more room, until both are the same. */
  readonly square: boolean;
}

export type Crop = ({ readonly to: "subject" } & SubjectFrame) | ({ readonly to: "frame" } & Frame);
export type Shadow = "none" | "drop" | "contact";

export interface Looks {
  /** Standard deviation of the edge's smoothing, in pixels of the whole picture. */
  readonly smooth: number;
  /** How far the edge is moved outwards, in pixels of the whole picture. */
  readonly shift: number;
  /** Standard deviation of the edge's softening, in pixels of the whole picture. */
  readonly feather: number;
  readonly background: Background;
  readonly colour: string;
  /** What lies behind where `background` is "picture". */
  readonly backdrop: Backdrop | null;
  /** Whether that fills the canvas, or is shown whole. */
  readonly fit: "cover" | "contain";
  /** Standard deviation of the blur behind, in percent of the longer side. */
  readonly blur: number;
  /** How far the subject's colours go to those behind it, 0 to 1. */
  readonly match: number;
  readonly shadow: Shadow;
  /** 0 to 1. */
  readonly shadowOpacity: number;
  readonly crop: Crop | null;
}

export const PLAIN: Looks = {
  smooth: 0,
  shift: 0,
  feather: 0,
  background: NO_BACKGROUND,
  colour: "#3b5bdb",
  backdrop: null,
  fit: "cover",
  blur: 1.5,
  match: 0,
  shadow: "none",
  shadowOpacity: 0.5,
  crop: null,
};

/** Whether these looks change anything: a colour that lies behind nothing does not. */
export const isPlain = (looks: Looks): boolean =>
  isPlainBut(looks) && [NO_BACKGROUND, "picture"].includes(looks.background);

/** The same, but for colours behind it, which need no pixels to be made. */
export const isPlainBut = (looks: Looks): boolean =>
  looks.smooth === 0 &&
  looks.shift === 0 &&
  looks.feather === 0 &&
  looks.background !== "blur" &&
  (looks.background !== "picture" || !looks.backdrop) &&
  looks.shadow === "none" &&
  looks.crop === null;

/** The same for another picture: what was framed by hand is of the one picture. */
export const forOthers = (looks: Looks): Looks =>
  looks.crop?.to === "frame" ? { ...looks, crop: null } : looks;
