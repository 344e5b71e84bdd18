import { type CSSProperties, useEffect, useRef, useState } from "react";
import { cssOf } from "../export/backgrounds.js";
import { onAction } from "../keys.js";
import { get, type Picture, set, update, usePage } from "../store.js";
import { say } from "../strings.js";
import type { Placement, Size } from "./geometry.js";
import css from "./Stage.module.css";
import { useView } from "./useView.js";
import { ViewBar } from "./ViewBar.js";

/** The open picture: the original, and the cutout over it from the divider on. */
export function Stage({ picture }: { picture: Picture }) {
  const stage = useRef<HTMLElement>(null);
  const [size, setSize] = useState<Size | null>(null);
  const [isShown, setShown] = useState(true);
  const view = useView(stage, size);
  const split = usePage((state) => state.split);
  const held = useHeldOriginal();
  const { cutout } = picture;
  useEffect(() => onAction("zoomIn", () => view.zoom(1)));
  useEffect(() => onAction("zoomOut", () => view.zoom(-1)));
  useEffect(() => onAction("fit", view.fit));
  useEffect(() => onAction("full", view.full));
  useEffect(() => onAction("pan", ([dx, dy]) => view.pan(dx, dy)));
  const left = cutout ? (held ? 100 : split) : 100;
  const place = view.placement && size ? at(view.placement, size) : { visibility: "hidden" };
  return (
    <div className={css.viewer}>
      <ViewBar view={view} hasCutout={cutout !== null} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys move and zoom what is in it */}
      <section ref={stage} className={css.stage} aria-label={say("stage")} tabIndex={0}>
        <div
          className={css.layer}
          style={{ clipPath: `inset(0 calc(100% - ${edgeAt(left)}) 0 0)` }}
        >
          <img
            className={css.picture}
            style={place as CSSProperties}
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
        {cutout && <CutoutLayer picture={picture} left={left} place={place} onSize={setSize} />}
        {cutout && <Divider left={left} />}
        <Working picture={picture} />
      </section>
    </div>
  );
}

// Where the divider is: the middle of the handle, which stays on the stage.
const edgeAt = (split: number): string =>
  split === 0 || split === 100 ? `${split}%` : `calc(22px + (100% - 44px) * ${split / 100})`;

function at({ scale, x, y }: Placement, { width, height }: Size): CSSProperties {
  const transform = `translate(${x}px, ${y}px)`;
  return { width: width * scale, height: height * scale, transform };
}

interface LayerProps {
  picture: Picture;
  left: number;
  place: object;
  onSize: (size: Size) => void;
}

function CutoutLayer({ picture: { id, name, cutout }, left, place, onSize }: LayerProps) {
  const background = usePage((state) => cssOf(state.background, state.colour));
  const shownAt = useRef(performance.now());
  if (!cutout) return null;
  const style: CSSProperties = background ? { ...place, background } : { ...place };
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
    </div>
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
  const isBetween = left > 0 && left < 100;
  return (
    <>
      {isBetween && <div className={css.line} style={{ left: edgeAt(left) }} />}
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
