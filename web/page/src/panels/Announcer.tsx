import { useEffect, useRef, useState } from "react";
import { isFinished } from "../export/result.js";
import { usePage } from "../store.js";
import { say } from "../strings.js";

const AT_MOST_EVERY_MS = 2000;

/** Tells a screen reader what happened, and how many pictures are done at most every two seconds. */
export function Announcer() {
  const said = usePage((state) => state.said);
  const done = usePage((state) => state.pictures.filter(isFinished).length);
  const [text, setText] = useState("");
  const last = useRef(0);
  useEffect(() => setText(said.text), [said]);
  useEffect(() => {
    if (done === 0) return;
    const wait = Math.max(0, last.current + AT_MOST_EVERY_MS - Date.now());
    const timer = setTimeout(() => {
      last.current = Date.now();
      setText(say("saidDone", { n: done }));
    }, wait);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <p className="hidden" role="status" data-said>
      {text}
    </p>
  );
}
