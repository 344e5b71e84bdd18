import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { centre, fit, move, type Placement, type Size, zoomAt, zoomStep } from "./geometry.js";

/** What buttons, keys and the pointer do to the view. */
export interface View {
  placement: Placement | null;
  zoom(direction: 1 | -1): void;
  fit(): void;
  full(): void;
  pan(dx: number, dy: number): void;
}

/** What takes the pointer while a brush is in the hand; false where it leaves it to the view. */
export interface Painting {
  begin(event: PointerEvent): boolean;
  go(event: PointerEvent): void;
  end(): void;
  /** A second finger has come: it was no stroke. */
  drop(): void;
}

/**
 * The view of one picture on one stage: fitted until somebody zooms, and kept fitted meanwhile.
 *
 * @param margin around a picture that is fitted, in CSS pixels.
 */
export function useView(
  stage: RefObject<HTMLElement | null>,
  picture: Size | null,
  painting: RefObject<Painting | null>,
  margin: number,
): View {
  const room = useSizeOf(stage);
  const [moved, setMoved] = useState<Placement | null>(null);
  const width = picture?.width;
  const height = picture?.height;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture is fitted anew
  useEffect(() => setMoved(null), [width, height]);
  const fitted = useMemo(
    () => (room && width && height ? fit(room, { width, height }, margin) : null),
    [room, width, height, margin],
  );
  const placement = moved ?? fitted;
  const change = useCallback(
    (how: (from: Placement, room: Size, picture: Size) => Placement | null) => {
      if (!room || !width || !height || !fitted) return;
      setMoved((from) => how(from ?? fitted, room, { width, height }));
    },
    [room, width, height, fitted],
  );
  usePointer(stage, change, painting);
  return {
    placement,
    zoom: (direction) =>
      change((from, room, picture) => move(zoomStep(from, direction, room), 0, 0, room, picture)),
    fit: () => change(() => null),
    full: () => change((_, room, picture) => centre(room, picture, 1 / devicePixelRatio)),
    pan: (dx, dy) => change((from, room, picture) => move(from, dx, dy, room, picture)),
  };
}

function useSizeOf(element: RefObject<HTMLElement | null>): Size | null {
  const [size, setSize] = useState<Size | null>(null);
  useEffect(() => {
    const observed = element.current;
    if (!observed) return;
    const observer = new ResizeObserver(() =>
      setSize({ width: observed.clientWidth, height: observed.clientHeight }),
    );
    observer.observe(observed);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

type Change = (how: (from: Placement, room: Size, picture: Size) => Placement) => void;

// One pointer paints where a brush is in the hand, and else moves; two move and zoom, and so does the
// middle button. The wheel zooms about the pointer.
function usePointer(
  stage: RefObject<HTMLElement | null>,
  change: Change,
  painting: RefObject<Painting | null>,
): void {
  const down = useRef(new Map<number, PointerEvent>());
  const painter = useRef<number | null>(null);
  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    const at = (event: MouseEvent) => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const begin = (event: PointerEvent) => {
      if (event.button > 1 || (event.target as Element).closest("input, button")) return;
      element.setPointerCapture(event.pointerId);
      const isFirst = down.current.size === 0;
      down.current.set(event.pointerId, event);
      if (painter.current !== null) painting.current?.drop();
      painter.current = null;
      if (isFirst && event.button === 0 && painting.current?.begin(event)) {
        painter.current = event.pointerId;
      }
    };
    const go = (event: PointerEvent) => {
      if (event.pointerId === painter.current) return painting.current?.go(event);
      const before = down.current.get(event.pointerId);
      if (!before) return;
      const other = [...down.current.values()].find((one) => one.pointerId !== event.pointerId);
      down.current.set(event.pointerId, event);
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      const share = other ? 0.5 : 1;
      const factor = other ? distance(event, other) / distance(before, other) : 1;
      const about = middle(at(before), at(other ?? before));
      change((from, room, picture) =>
        move(zoomAt(from, factor, about), dx * share, dy * share, room, picture),
      );
    };
    const end = (event: PointerEvent) => {
      down.current.delete(event.pointerId);
      if (event.pointerId !== painter.current) return;
      painter.current = null;
      if (event.type === "pointerup") painting.current?.end();
      else painting.current?.drop();
    };
    const noScroll = (event: MouseEvent) => event.button === 1 && event.preventDefault();
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const factor = 1.0015 ** -event.deltaY;
      change((from, room, picture) => move(zoomAt(from, factor, at(event)), 0, 0, room, picture));
    };
    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener("pointerdown", begin, { signal });
    element.addEventListener("pointermove", go, { signal });
    element.addEventListener("pointerup", end, { signal });
    element.addEventListener("pointercancel", end, { signal });
    element.addEventListener("mousedown", noScroll, { signal });
    element.addEventListener("wheel", wheel, { signal, passive: false });
    return () => listening.abort();
  }, [stage, change, painting]);
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const middle = (one: Point, other: Point): Point => ({
  x: (one.x + other.x) / 2,
  y: (one.y + other.y) / 2,
});

const distance = (one: PointerEvent, other: PointerEvent): number =>
  Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
