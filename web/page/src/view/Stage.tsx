import {
  type CSSProperties,
  type ReactNode,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from "react";
import type { Frame } from "../editor/looks.js";
import { cssOf } from "../export/backgrounds.js";
import { type Finished, isFinished } from "../export/result.js";
import { onAction } from "../keys.js";
import { get, type Picture, set, update, usePage } from "../store.js";
import { say } from "../strings.js";
import { Brush } from "./Brush.js";
import { CropFrame } from "./CropFrame.js";
import { inView, type Place, type Placement, type Size } from "./geometry.js";
import css from "./Stage.module.css";
import { type Edited, useEdited } from "./useEdited.js";
import { type Painting, useView } from "./useView.js";
import { ViewBar } from "./ViewBar.js";

/** The open picture: the original, and the cutout over it from the divider on. */
export function Stage({ picture }: { picture: Picture }) {
  const stage = useRef<HTMLElement>(null);
  const [size, setSize] = useState<Size | null>(null);
  const [isShown, setShown] = useState(true);
  const tool = usePage((state) => state.tool);
  const edited = useEdited(picture, tool !== "move");
  const area = edited.frame ?? (size && { left: 0, top: 0, ...size });
  const painting = useRef<Painting | null>(null);
  const view = useView(stage, area, painting, tool === "crop" ? GRIP_ROOM : 0);
  const split = usePage((state) => state.split);
  const held = useHeldOriginal();
  const { cutout } = picture;
  useEffect(() => onAction("zoomIn", () => view.zoom(1)));
  useEffect(() => onAction("zoomOut", () => view.zoom(-1)));
  useEffect(() => onAction("fit", view.fit));
  useEffect(() => onAction("full", view.full));
  useEffect(() => onAction("pan", ([dx, dy]) => view.pan(dx, dy)));
  useFocusForBrush(stage);
  useInView(stage, view.placement, area, size);
  const left = cutout ? (held ? 100 : split) : 100;
  const place = view.placement && size && area ? at(view.placement, size, area) : HIDDEN;
  return (
    <div className={css.viewer}>
      <ViewBar view={view} picture={picture} />
      <section
        ref={stage}
        className={css.stage}
        data-tool={isFinished(picture) ? tool : "move"}
        aria-label={say("stage")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keys move, zoom and paint what is in it
        tabIndex={0}
      >
        <div
          className={css.layer}
          style={{ clipPath: `inset(0 calc(100% - ${edgeAt(left)}) 0 0)` }}
        >
          <img
            className={css.picture}
            style={place}
            src={picture.sourceUrl}
            alt={say("originalOf", { name: picture.name })}
            draggable={false}
            onLoad={({ currentTarget: image }) => {
              setShown(true);
              if (!cutout) setSize({ width: image.naturalWidth, height: image.naturalHeight });
            }}
            onError={() => setShown(false)}
          />
          {!isShown && !picture.failure && <p className={css.note}>{say("noPreview")}</p>}
        </div>
        {cutout && (
          <CutoutLayer picture={picture} left={left} place={place} onSize={setSize}>
            {edited.frame && view.placement && (
              <EditedLayer edited={edited} name={picture.name} at={view.placement} />
            )}
          </CutoutLayer>
        )}
        {cutout && (tool === "move" || isBetween(left)) && <Divider left={left} />}
        {isFinished(picture) && view.placement && size && area && (
          <Tools
            picture={picture}
            place={{ placement: view.placement, area, size }}
            {...{ stage, painting, edited }}
          />
        )}
        <Working picture={picture} />
      </section>
    </div>
  );
}

/** So that the grips of a crop lie on the stage, in CSS pixels. */
const GRIP_ROOM = 24;

const isBetween = (split: number): boolean => split > 0 && split < 100;

// Where the divider is: the middle of the handle, which stays on the stage.
const edgeAt = (split: number): string =>
  isBetween(split) ? `calc(22px + (100% - 44px) * ${split / 100})` : `${split}%`;

interface ToolsProps {
  picture: Finished;
  place: Place;
  stage: RefObject<HTMLElement | null>;
  painting: RefObject<Painting | null>;
  edited: Edited;
}

function Tools({ picture, place, stage, painting, edited }: ToolsProps) {
  const tool = usePage((state) => state.tool);
  const brush = usePage((state) => state.brush);
  if (tool === "crop") return <CropFrame picture={picture} place={place} />;
  if (tool === "move") return null;
  const grip = { picture, place, kind: tool, opened: edited.opened, ...brush };
  return <Brush grip={grip} stage={stage} painting={painting} shown={edited.frame} />;
}

const HIDDEN: CSSProperties = { visibility: "hidden" };

// The whole picture, of which an area lies where the placement says; the rest of it is cut off.
function at({ scale, x, y }: Placement, { width, height }: Size, area: Frame): CSSProperties {
  const transform = `translate(${x - area.left * scale}px, ${y - area.top * scale}px)`;
  const [right, bottom] = [width - area.left - area.width, height - area.top - area.height];
  const sides = [area.top, right, bottom, area.left].map((side) => Math.max(0, side * scale));
  const isWhole = sides.every((side) => side === 0);
  return {
    width: width * scale,
    height: height * scale,
    transform,
    ...(!isWhole && { clipPath: `inset(${sides.map((side) => `${side}px`).join(" ")})` }),
  };
}

interface LayerProps {
  picture: Picture;
  left: number;
  place: CSSProperties;
  onSize: (size: Size) => void;
  /** What has been made of the cutout; without, the cutout itself is shown. */
  children: ReactNode;
}

function CutoutLayer({ picture, left, place, onSize, children }: LayerProps) {
  const { id, name, cutout, history } = picture;
  const background = cssOf(history.now.looks.background, history.now.looks.colour);
  const shownAt = useRef(performance.now());
  if (!cutout) return null;
  const style: CSSProperties = children ? HIDDEN : background ? { ...place, background } : place;
  return (
    <div className={css.layer} style={{ clipPath: `inset(0 0 0 ${edgeAt(left)})` }}>
      <img
        className={`${css.picture} ${css.checker}`}
        style={style}
        decoding="sync"
        src={cutout.url}
        alt={say("cutoutOf", { name })}
        draggable={false}
        onLoad={({ currentTarget: image }) => {
          onSize({ width: image.naturalWidth, height: image.naturalHeight });
          noteDrawn(id, shownAt.current);
        }}
      />
      {children}
    </div>
  );
}

interface EditedProps {
  edited: Edited;
  name: string;
  at: Placement;
}

function EditedLayer({ edited: { frame, canvas }, name, at: { scale, x, y } }: EditedProps) {
  if (!frame) return null;
  const transform = `translate(${x}px, ${y}px)`;
  return (
    <canvas
      ref={canvas}
      className={`${css.picture} ${css.checker}`}
      style={{ width: frame.width * scale, height: frame.height * scale, transform }}
      role="img"
      aria-label={say("editedOf", { name })}
    />
  );
}

// Two frames on: the first one with the picture has then been shown.
function noteDrawn(id: number, shownAt: number): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      const cutout = get().pictures.find((one) => one.id === id)?.cutout;
      if (!cutout || cutout.took.drawn !== null) return;
      performance.mark(`seen:${id}`);
      const drawn = performance.now() - Math.max(cutout.receivedAt, shownAt);
      update(id, { cutout: { ...cutout, took: { ...cutout.took, drawn } } });
    }),
  );
}

function Divider({ left }: { left: number }) {
  return (
    <>
      {isBetween(left) && <div className={css.line} style={{ left: edgeAt(left) }} />}
      <input
        className={css.divider}
        type="range"
        min={0}
        max={100}
        value={left}
        aria-label={say("divider")}
        onChange={(event) => set({ split: Number(event.target.value) })}
      />
    </>
  );
}

function Working({ picture: { stage } }: { picture: Picture }) {
  const isWorking = stage === "working" || stage === "uploading" || stage === "shrinking";
  return isWorking ? <div className={css.working} aria-hidden="true" /> : null;
}

function useHeldOriginal(): boolean {
  const [held, setHeld] = useState(false);
  useEffect(() => onAction("original", (isDown) => setHeld(isDown)));
  return held;
}

// Who takes the brush by a key goes on with arrows.
function useFocusForBrush(stage: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const focus = () => stage.current?.focus();
    const keys = ["keepBrush", "removeBrush", "swapBrush"] as const;
    const stops = keys.map((key) => onAction(key, focus));
    return () => {
      for (const stop of stops) stop();
    };
  }, [stage]);
}

// Told to the panel, which offers what concerns the picture or the part of it that is seen.
function useInView(
  stage: RefObject<HTMLElement | null>,
  placement: Placement | null,
  area: Frame | null,
  size: Size | null,
): void {
  useEffect(() => {
    const room = stage.current;
    if (!placement || !area || !size || !room) return set({ seen: null });
    const stageSize = { width: room.clientWidth, height: room.clientHeight };
    set({ seen: { size, area, inView: inView({ placement, area, size }, stageSize) } });
  });
}
