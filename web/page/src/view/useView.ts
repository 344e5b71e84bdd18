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

/** The view of one picture on one stage: fitted until somebody zooms, and kept fitted meanwhile. */
export function useView(stage: RefObject<HTMLElement | null>, picture: Size | null): View {
  const room = useSizeOf(stage);
  const [moved, setMoved] = useState<Placement | null>(null);
  const width = picture?.width;
  const height = picture?.height;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture is fitted anew
  useEffect(() => setMoved(null), [width, height]);
  const fitted = useMemo(
    () => (room && width && height ? fit(room, { width, height }) : null),
    [room, width, height],
  );
  const placement = moved ?? fitted;
  const change = useCallback(
    (how: (from: Placement, room: Size, picture: Size) => Placement | null) => {
      if (!room || !width || !height || !fitted) return;
      setMoved((from) => how(from ?? fitted, room, { width, height }));
    },
    [room, width, height, fitted],
  );
  usePointer(stage, change);
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

// One pointer moves, two move and zoom; the wheel zooms about the pointer.
function usePointer(stage: RefObject<HTMLElement | null>, change: Change): void {
  const down = useRef(new Map<number, PointerEvent>());
  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    const at = (event: MouseEvent) => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const begin = (event: PointerEvent) => {
      if (event.button !== 0 || (event.target as Element).closest("input, button")) return;
      element.setPointerCapture(event.pointerId);
      down.current.set(event.pointerId, event);
    };
    const go = (event: PointerEvent) => {
      const before = down.current.get(event.pointerId);
      if (!before) return;
      const other = [...down.current.values()].find((one) => one.pointerId !== event.pointerId);
      down.current.set(event.pointerId, event);
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      const share = other ? 0.5 : 1;
      const factor = other ? distance(event, other) / distance(before, other) : 1;
      change((from, room, picture) =>
        move(zoomAt(from, factor, at(event)), dx * share, dy * share, room, picture),
      );
    };
    const end = (event: PointerEvent) => down.current.delete(event.pointerId);
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
    element.addEventListener("wheel", wheel, { signal, passive: false });
    return () => listening.abort();
  }, [stage, change]);
}

const distance = (one: PointerEvent, other: PointerEvent): number =>
  Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
