/** The hand that holds the brush: pointer and keys to strokes, drawn as they are made. */
import { addEdit, afterStrokes } from "../editor/acts.js";
import { follow, prepare } from "../editor/live.js";
import type { Opened } from "../editor/session.js";
import type { Finished } from "../export/result.js";
import type { Dab } from "../matting/brush.js";
import type { Kind } from "../matting/strokes.js";
import { announce, find } from "../store.js";
import { type StringKey, say } from "../strings.js";
import { type Place, toPicture, toStage } from "./geometry.js";
import type { Painting } from "./useView.js";

/** How the hand is, with every change of the page. */
export interface Grip {
  readonly picture: Finished;
  readonly place: Place;
  readonly kind: Kind;
  /** Across, in CSS pixels. */
  readonly size: number;
  readonly follows: boolean;
  readonly opened: Opened | null;
}

/** What it draws on. */
export interface Sheet {
  readonly stage: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly ring: HTMLElement;
}

interface Line {
  readonly kind: Kind;
  readonly follows: boolean;
  readonly dabs: Dab[];
}

/** Points of a line are at least so far apart, in radii. */
const APART = 0.2;
/** A pen that is hardly pressed draws a line of this share of the brush. */
const LIGHTEST = 0.25;
const STEP = 4;
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class Hand implements Painting {
  grip: Grip;
  private readonly sheet: Sheet;
  private line: Line | null = null;
  private lastDab: Dab | null = null;
  private cross: { x: number; y: number } | null = null;

  constructor(sheet: Sheet, grip: Grip) {
    this.sheet = sheet;
    this.grip = grip;
  }

  begin(event: PointerEvent): boolean {
    const kind = event.altKey ? opposite(this.grip.kind) : this.grip.kind;
    if (!this.mayDraw(kind)) return false;
    this.clear();
    this.line = { kind, follows: this.grip.follows && !event.shiftKey, dabs: [] };
    this.go(event);
    return true;
  }

  go(event: PointerEvent): void {
    const coalesced = event.getCoalescedEvents?.() ?? [];
    for (const one of coalesced.length > 0 ? coalesced : [event]) {
      const pressure = one.pointerType === "pen" ? Math.max(LIGHTEST, one.pressure) : 1;
      this.add(this.pointOf(one), pressure);
    }
    this.moveRing(this.pointOf(event));
  }

  end(): void {
    const { line } = this;
    this.line = null;
    if (!line || line.dabs.length === 0) return;
    performance.mark("stroke");
    this.make(line);
  }

  drop(): void {
    this.line = null;
    this.clear();
  }

  /** Show where the brush is. */
  hover(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.moveRing(this.pointOf(event));
  }

  /** Show it where the keys would begin. */
  appear(): void {
    if (!this.cross) this.moveRing(this.crossNow());
  }

  /** Arrows move the brush, Space puts a dab, with Shift a line from the last one. */
  press(event: KeyboardEvent): void {
    const arrow = ARROWS[event.key];
    if (event.target !== this.sheet.stage || event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) {
      event.preventDefault();
      const step = event.shiftKey ? 10 * STEP : STEP;
      const { x, y } = this.crossNow();
      this.moveRing(this.within({ x: x + step * arrow[0], y: y + step * arrow[1] }));
      return;
    }
    if (event.key !== " ") return;
    event.preventDefault();
    if (event.repeat) return;
    const { kind, follows, place } = this.grip;
    if (!this.mayDraw(kind)) return;
    const from = event.shiftKey ? this.lastDab : null;
    this.clear();
    this.line = { kind, follows, dabs: [] };
    if (from) this.add(toStage(place, from), 1);
    this.add(this.crossNow(), 1);
    this.moveRing(this.crossNow());
    this.end();
  }

  /** Take the line off the picture: what came of it is shown. */
  clear(): void {
    if (this.line) return;
    const { canvas, stage } = this.sheet;
    canvas.width = stage.clientWidth;
    canvas.height = stage.clientHeight;
  }

  // What is lost can only be brought back from the original.
  private mayDraw(kind: Kind): boolean {
    const { opened } = this.grip;
    if (kind === "remove" || opened?.hasSource !== false) return true;
    announce(say("noSource"), true);
    return false;
  }

  private add(at: { x: number; y: number }, pressure: number): void {
    const { place, size } = this.grip;
    if (!this.line) return;
    const longer = Math.max(place.size.width, place.size.height);
    const r = (pressure * size) / 2 / place.placement.scale / longer;
    const dab = { ...toPicture(place, at), r };
    const before = this.line.dabs.at(-1);
    const [dx, dy] = before
      ? [(dab.x - before.x) * place.size.width, (dab.y - before.y) * place.size.height]
      : [0, 0];
    if (before && Math.hypot(dx, dy) < APART * r * longer) return;
    this.line.dabs.push(dab);
    this.draw(before ?? dab, dab);
  }

  private draw(from: Dab, to: Dab): void {
    const context = this.sheet.canvas.getContext("2d");
    if (!context || !this.line) return;
    const { place } = this.grip;
    const longer = Math.max(place.size.width, place.size.height);
    context.strokeStyle = getComputedStyle(this.sheet.stage).getPropertyValue(
      `--${this.line.kind}`,
    );
    context.lineWidth = 2 * to.r * longer * place.placement.scale;
    context.lineCap = "round";
    context.beginPath();
    const [begin, end] = [toStage(place, from), toStage(place, to)];
    context.moveTo(begin.x, begin.y);
    context.lineTo(end.x, end.y);
    context.stroke();
  }

  // One stroke after the other: each is followed in what the ones before have left.
  private make({ kind, follows, dabs }: Line): void {
    const { picture } = this.grip;
    this.lastDab = dabs.at(-1) ?? null;
    const draw = async () => {
      const now = find(picture.id)?.history.now;
      if (!now) return;
      if (kind === "keep" && !(await prepare(picture)).hasSource) return this.fail("noSource");
      const cells = follows ? await follow(picture, now, kind, dabs) : null;
      addEdit(picture.id, { type: "stroke", kind, dabs, cells });
      announce(this.words(kind, dabs));
    };
    afterStrokes(() => draw().catch(() => find(picture.id) && this.fail("errEdit")));
  }

  private fail(why: StringKey): void {
    this.clear();
    announce(say(why), true);
  }

  private words(kind: Kind, dabs: readonly Dab[]): string {
    const { size } = this.grip.place;
    const { x, y, r } = dabs.at(-1) ?? { x: 0, y: 0, r: 0 };
    return say(kind === "keep" ? "saidKept" : "saidRemoved", {
      size: Math.round(2 * r * Math.max(size.width, size.height)),
      x: Math.round(x * size.width),
      y: Math.round(y * size.height),
    });
  }

  private crossNow(): { x: number; y: number } {
    const { clientWidth, clientHeight } = this.sheet.stage;
    return this.cross ?? { x: clientWidth / 2, y: clientHeight / 2 };
  }

  private within({ x, y }: { x: number; y: number }): { x: number; y: number } {
    const { clientWidth, clientHeight } = this.sheet.stage;
    return { x: Math.min(clientWidth, Math.max(0, x)), y: Math.min(clientHeight, Math.max(0, y)) };
  }

  private pointOf(event: PointerEvent): { x: number; y: number } {
    const box = this.sheet.stage.getBoundingClientRect();
    const { clientLeft, clientTop } = this.sheet.stage;
    return { x: event.clientX - box.left - clientLeft, y: event.clientY - box.top - clientTop };
  }

  private moveRing(at: { x: number; y: number }): void {
    this.cross = at;
    const { ring } = this.sheet;
    ring.style.visibility = "visible";
    ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
  }
}

const opposite = (kind: Kind): Kind => (kind === "keep" ? "remove" : "keep");
