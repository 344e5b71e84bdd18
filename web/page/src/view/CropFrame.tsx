import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { changeLooks, letGo } from "../editor/acts.js";
import { type Grip, moveFrame } from "../editor/frames.js";
import type { Frame } from "../editor/looks.js";
import type { Picture } from "../store.js";
import { type StringKey, say } from "../strings.js";
import type { Place } from "./geometry.js";
import css from "./Stage.module.css";

interface Props {
  picture: Picture;
  place: Place;
}

const GRIPS: readonly { grip: Grip; label: StringKey }[] = [
  { grip: "move", label: "cropMove" },
  { grip: "topLeft", label: "cropTopLeft" },
  { grip: "topRight", label: "cropTopRight" },
  { grip: "bottomLeft", label: "cropBottomLeft" },
  { grip: "bottomRight", label: "cropBottomRight" },
];
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The part that is taken, with grips that the pointer drags and arrow keys move. */
export function CropFrame({ picture: { id, history }, place }: Props) {
  const { crop } = history.now.looks;
  const dragged = useRef<{ x: number; y: number; from: Frame } | null>(null);
  if (crop?.to !== "frame") return null;
  const { size } = place;
  const { scale, x, y } = place.placement;
  const change = (grip: Grip, from: Frame, dx: number, dy: number) =>
    changeLooks(id, { crop: { to: "frame", ...moveFrame(from, grip, dx, dy, size) } }, "crop");
  const begin = (event: PointerEvent<HTMLElement>) => {
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    dragged.current = { x: event.clientX, y: event.clientY, from: crop };
  };
  const go = (event: PointerEvent, grip: Grip) => {
    if (!dragged.current) return;
    const { x: left, y: top, from } = dragged.current;
    change(grip, from, (event.clientX - left) / scale, (event.clientY - top) / scale);
  };
  const end = () => {
    dragged.current = null;
    letGo(id);
  };
  const press = (event: KeyboardEvent, grip: Grip) => {
    const arrow = ARROWS[event.key];
    if (!arrow || event.altKey) return;
    event.preventDefault();
    const step = (event.shiftKey ? 10 : 1) * Math.max(1, 1 / scale);
    change(grip, crop, step * arrow[0], step * arrow[1]);
  };
  const style = {
    width: crop.width * scale,
    height: crop.height * scale,
    transform: `translate(${x + crop.left * scale}px, ${y + crop.top * scale}px)`,
  };
  return (
    <div className={css.crop} style={style}>
      {GRIPS.map(({ grip, label }) => (
        <button
          key={grip}
          type="button"
          className={css.grip}
          data-grip={grip}
          aria-label={say(label)}
          onPointerDown={begin}
          onPointerMove={(event) => go(event, grip)}
          onPointerUp={end}
          onPointerCancel={end}
          onKeyDown={(event) => press(event, grip)}
          onKeyUp={() => letGo(id)}
        />
      ))}
    </div>
  );
}
