/** One picture at one size: its pixels, and its matte with the edits that were made of it. */

import type { Dab } from "../matting/brush.js";
import type { Cells } from "../matting/cells.js";
import { reduceSource, spreadLayers, writeForeground } from "../matting/foreground.js";
import { type Colours, copyColours, copyMatte, type Matte, whole } from "../matting/pixels.js";
import {
  alphaOf,
  bringOver,
  type Change,
  coloursOf,
  cut,
  keepOwn,
  paintOver,
  patchIn,
  putIn,
  scaled,
} from "../matting/retouch.js";
import { followStroke, type Kind, type Sketch } from "../matting/strokes.js";
import type { Edit } from "./document.js";

/** What is kept to go back without starting anew, in bytes. */
const MOST_KEPT = 64 * 2 ** 20;
/** The subject's colours are found so many pixels further out at a time. */
const FURTHER = 64;

export interface Pixels {
  /** The picture as it was given. */
  readonly source: Colours;
  /** Its opacity; null where it has none. */
  readonly opacity: Matte | null;
  /** The service's cutout. */
  readonly cutout: Colours;
  readonly matte: Matte;
}

interface Applied {
  readonly edit: Edit;
  /** What was there before: null where nothing changed, undefined where it is not kept any more. */
  before: Change | null | undefined;
}

export class Level {
  /** The matte as it is with the edits. */
  readonly matte: Matte;
  /** Pixels of this size for one of the whole picture. */
  readonly zoom: number;
  private readonly given: Pixels;
  private readonly mostKept: number;
  private readonly found: Colours;
  private applied: Applied[] = [];
  private sketch: Omit<Sketch, "alpha"> | null = null;
  private reduced: Colours | null = null;
  private reach = 0;
  private isFound = true;

  /**
   * @param fullWidth of the whole picture, in pixels.
   * @param mostKept to go back without starting anew, in bytes.
   */
  constructor(given: Pixels, fullWidth: number, mostKept = MOST_KEPT) {
    this.given = given;
    this.mostKept = mostKept;
    this.zoom = given.matte.width / fullWidth;
    this.matte = copyMatte(given.matte);
    this.found = copyColours(given.cutout);
  }

  get source(): Colours {
    return this.given.source;
  }

  get opacity(): Matte | null {
    return this.given.opacity;
  }

  /**
   * The subject's own colours, wherever the matte is not 0; further out after `spread`. They are
   * found when they are asked for, from the matte alone, whatever way led to it.
   */
  get colours(): Colours {
    if (this.isFound) return this.found;
    const { source, cutout, matte } = this.given;
    this.reduced ??= reduceSource(source);
    const layers = spreadLayers(source, this.matte, this.reach, this.reduced);
    writeForeground(source, this.matte, layers, whole(source), this.found);
    keepOwn(cutout, matte, this.matte, this.found);
    this.isFound = true;
    return this.found;
  }

  /** Go to these edits from those that were; only what differs is done. */
  apply(edits: readonly Edit[]): void {
    let same = 0;
    while (same < this.applied.length && this.applied[same]?.edit === edits[same]) same += 1;
    const gone = this.applied.slice(same);
    if (gone.some(({ before }) => before === undefined)) {
      this.applied = [];
      this.put({ rect: whole(this.matte), data: this.given.matte.data });
    } else {
      for (const { before } of gone.toReversed()) if (before) this.put(before);
      this.applied.length = same;
    }
    for (const edit of edits.slice(this.applied.length)) this.add(edit);
  }

  /** Do beforehand what the first stroke would wait for. */
  prepare(): Omit<Sketch, "alpha"> {
    this.sketch ??= coloursOf(this.source);
    return this.sketch;
  }

  /** What a stroke brings to its side besides what lies under it. */
  follow(kind: Kind, dabs: readonly Dab[]): Cells {
    return followStroke({ ...this.prepare(), alpha: alphaOf(this.matte) }, kind, dabs);
  }

  /** Find the subject's colours also so far out, in pixels, for an edge that is moved. */
  spread(reach: number): void {
    if (reach <= this.reach) return;
    this.reach = FURTHER * Math.ceil(reach / FURTHER); // else each step of a slider finds anew
    this.isFound = false;
  }

  private add(edit: Edit): void {
    const change = changeOf(edit, this.matte, this.source, this.zoom);
    const before = change && { rect: change.rect, data: cut(this.matte, change.rect) };
    this.applied.push({ edit, before });
    if (change) this.put(change);
    this.forgetOldest();
  }

  private put({ rect, data }: Change): void {
    putIn(this.matte, rect, data);
    this.isFound = false;
  }

  private forgetOldest(): void {
    let kept = this.applied.reduce((sum, { before }) => sum + (before?.data.length ?? 0), 0);
    for (const one of this.applied) {
      if (kept <= this.mostKept) return;
      kept -= one.before?.data.length ?? 0;
      one.before = undefined;
    }
  }
}

function changeOf(edit: Edit, matte: Matte, source: Colours, zoom: number): Change | null {
  if (edit.type === "patch") return patchIn(matte, scaled(edit.rect, zoom, matte), edit.matte);
  const { kind, dabs, cells } = edit;
  return cells ? bringOver(matte, source, kind, cells) : paintOver(matte, kind, dabs);
}
