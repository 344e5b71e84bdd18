import { type KeyboardEvent, memo, useEffect, useRef } from "react";
import { onAction } from "../keys.js";
import { cancel, takeOff } from "../queue/runner.js";
import { get, type Picture, set, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./List.module.css";
import { useSecondsUntil } from "./useSecondsUntil.js";

/** The pictures, each with its state; arrow keys go along. */
export function List() {
  const pictures = usePage((state) => state.pictures);
  const openId = usePage((state) => state.openId);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => onAction("next", () => go(1)));
  useEffect(() => onAction("previous", () => go(-1)));
  useEffect(() => onAction("remove", () => openId !== null && takeOff([openId])));
  const follow = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step || event.altKey) return;
    event.preventDefault();
    const id = go(step);
    list.current?.querySelector<HTMLElement>(`[data-open="${id}"]`)?.focus();
  };
  return (
    <ul ref={list} className={css.list} aria-label={say("pictures")} onKeyDown={follow}>
      {pictures.map((picture) => (
        <Row key={picture.id} picture={picture} isOpen={picture.id === openId} />
      ))}
    </ul>
  );
}

/** Open the picture that many places on; returns its number. */
function go(step: number): number | null {
  const { pictures, openId } = get();
  const at = pictures.findIndex((one) => one.id === openId);
  const next = pictures[Math.min(pictures.length - 1, Math.max(0, at + step))];
  set({ openId: next?.id ?? null });
  return next?.id ?? null;
}

interface RowProps {
  picture: Picture;
  isOpen: boolean;
}

// Kept as it is while its picture is: there may be thousands.
const Row = memo(function Row({ picture, isOpen }: RowProps) {
  const { id, name, stage, thumbUrl, sent } = picture;
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isOpen) row.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [isOpen]);
  const isBusy = stage === "uploading" || stage === "working";
  const stop = isBusy || stage === "queued";
  return (
    <li ref={row} className={css.row} data-stage={stage}>
      <button
        type="button"
        className={css.open}
        data-open={id}
        aria-current={isOpen}
        tabIndex={isOpen ? 0 : -1}
        onClick={() => set({ openId: id })}
      >
        <span className={css.thumb}>{thumbUrl && <img src={thumbUrl} alt="" />}</span>
        <span className={css.words}>
          <span className={css.name}>{name}</span>
          <span className={css.state}>
            <State picture={picture} />
          </span>
        </span>
      </button>
      {isBusy && (
        <progress
          className={css.progress}
          aria-label={name}
          {...(stage === "uploading" ? { value: sent } : {})}
        />
      )}
      <button
        type="button"
        className={css.off}
        tabIndex={-1}
        aria-label={`${say(stop ? "cancel" : "takeOff")}: ${name}`}
        title={say(stop ? "cancel" : "takeOff")}
        onClick={() => (stop ? cancel(id) : takeOff([id]))}
      >
        ×
      </button>
    </li>
  );
});

/** The state of a picture in words. */
export function State({ picture }: { picture: Picture }) {
  const { stage, notBefore, sent, failure, cutout } = picture;
  const wait = useSecondsUntil(notBefore);
  if (stage === "queued" && wait > 0) return say("pausedRetry", { n: wait });
  if (stage === "uploading") return say("uploading", { percent: Math.round(sent * 100) });
  if (stage === "failed") return failure?.text ?? say("failed");
  if (stage === "done" && cutout && !cutout.subjectFound) return say("nothingFound");
  return say(stage);
}
