import { type RefObject, useEffect, useRef } from "react";
import { type Grip, Hand } from "./hand.js";
import css from "./Stage.module.css";
import type { Painting } from "./useView.js";

interface Props {
  grip: Grip;
  stage: RefObject<HTMLElement | null>;
  painting: RefObject<Painting | null>;
  /** Another one with each picture that is drawn. */
  shown: object | null;
}

/** The brush over the picture: where it is, and its line until what comes of it is shown. */
export function Brush({ grip, stage, painting, shown }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const ring = useRef<HTMLDivElement>(null);
  const hand = useRef<Hand>(null);
  if (hand.current) hand.current.grip = grip;
  const first = useRef(grip);
  useEffect(() => {
    if (!stage.current || !canvas.current || !ring.current) return;
    const sheet = { stage: stage.current, canvas: canvas.current, ring: ring.current };
    const held = new Hand(sheet, first.current);
    hand.current = held;
    painting.current = held;
    held.clear();
    const listening = new AbortController();
    const { signal } = listening;
    sheet.stage.addEventListener("pointermove", (event) => held.hover(event), { signal });
    sheet.stage.addEventListener("keydown", (event) => held.press(event), { signal });
    sheet.stage.addEventListener("focus", () => held.appear(), { signal });
    if (document.activeElement === sheet.stage) held.appear();
    return () => {
      listening.abort();
      painting.current = null;
    };
  }, [stage, painting]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a picture that was drawn, or another tool
  useEffect(() => hand.current?.clear(), [shown, grip.kind]);
  return (
    <div className={css.hand} data-kind={grip.kind} aria-hidden="true">
      <canvas ref={canvas} />
      <div ref={ring} className={css.ring} style={{ width: grip.size, height: grip.size }} />
    </div>
  );
}
