import { useEffect, useRef, useState } from "react";
import { isFinished } from "../export/result.js";
import { undoTakeOff } from "../queue/runner.js";
import { usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";

const AT_MOST_EVERY_MS = 2000;
/** So long a text stays before the next, else a screen reader may never see it. */
const STAYS_MS = 250;
const MOST_WAITING = 5;

interface Told {
  readonly key: string;
  readonly text: string;
}

/** What is told once this is told, too; of many that wait the oldest go. */
const adding =
  (one: Told) =>
  ([shown, ...waiting]: readonly Told[]): readonly Told[] => {
    const next = [...waiting, one].slice(-MOST_WAITING);
    return shown ? [shown, ...next] : next;
  };

/** Tells a screen reader what happened, and how many pictures are done at most every two seconds. */
export function Announcer() {
  const said = usePage((state) => state.said);
  const done = usePage((state) => state.pictures.filter(isFinished).length);
  const [[now, ...waiting], setTold] = useState<readonly Told[]>([]);
  const last = useRef(0);
  const before = useRef(0);
  useEffect(() => setTold(adding({ key: `said ${said.n}`, text: said.text })), [said]);
  useEffect(() => {
    const isMore = done > before.current;
    before.current = done;
    if (!isMore) return;
    const wait = Math.max(0, last.current + AT_MOST_EVERY_MS - Date.now());
    const timer = setTimeout(() => {
      last.current = Date.now();
      setTold(adding({ key: `done ${done}`, text: say("saidDone", { n: done }) }));
    }, wait);
    return () => clearTimeout(timer);
  }, [done]);
  const isNext = waiting.length > 0;
  useEffect(() => {
    if (!isNext) return;
    const timer = setTimeout(
      () => setTold((told) => (told[0] === now ? told.slice(1) : told)),
      STAYS_MS,
    );
    return () => clearTimeout(timer);
  }, [now, isNext]);
  return (
    <p className="hidden" role="status" data-said>
      <span key={now?.key}>{now?.text}</span>
    </p>
  );
}

const SHOWN_MS = 4000;

/** Shows for some seconds what nothing else on the page shows, and how to undo what can be. */
export function Toast() {
  const said = usePage((state) => state.said);
  const canUndo = usePage((state) => state.undo !== null);
  const [isOver, setOver] = useState(true);
  useEffect(() => {
    setOver(!said.isShown);
    const timer = setTimeout(() => setOver(true), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  if (isOver && !canUndo) return null;
  return (
    <div className={css.toast} data-toast>
      <span aria-hidden="true">{said.text}</span>
      {canUndo && (
        <button type="button" onClick={undoTakeOff}>
          {say("undo")}
        </button>
      )}
    </div>
  );
}
