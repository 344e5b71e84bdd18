import { useEffect, useState } from "react";
import { isFinished } from "../export/result.js";
import { downloadAll } from "../export/take.js";
import { onAction } from "../keys.js";
import { retryFailed, takeOff } from "../queue/runner.js";
import { secondsAtLimit } from "../queue/schedule.js";
import { announce, get, set, usePage } from "../store.js";
import { inWords, say } from "../strings.js";
import { ChooseButton } from "./Chooser.js";
import css from "./panels.module.css";
import { useSecondsUntil } from "./useSecondsUntil.js";

/** What concerns all pictures. */
export function Toolbar() {
  const pictures = usePage((state) => state.pictures);
  const done = pictures.filter(isFinished).length;
  const failed = pictures.filter((one) => one.stage === "failed").length;
  const retriable = pictures.filter((one) => one.failure?.cures.includes("retry")).length;
  return (
    <div className={css.toolbar}>
      <ChooseButton label={say("add")} />
      {done > 1 && <DownloadAll />}
      {retriable > 1 && (
        <button type="button" onClick={() => retryFailed()}>
          {say("retryFailed")}
        </button>
      )}
      <button type="button" onClick={() => takeOff(get().pictures.map((one) => one.id))}>
        {say("clear")}
      </button>
      <ModelChoice />
      <p className={css.counts}>
        {say("counts", { done, all: pictures.length })}
        {failed > 0 && `, ${say("countsFailed", { n: failed })}`}
      </p>
      <Pace />
    </div>
  );
}

function DownloadAll() {
  const [isPacking, setPacking] = useState(false);
  const pack = () => {
    setPacking(true);
    void downloadAll()
      .catch(() => announce(say("errZip"), true))
      .finally(() => setPacking(false));
  };
  useEffect(() => onAction("zip", pack));
  return (
    <button type="button" disabled={isPacking} onClick={pack}>
      {say(isPacking ? "packing" : "downloadAll")}
    </button>
  );
}

function ModelChoice() {
  const info = usePage((state) => state.service.info);
  const model = usePage((state) => state.model);
  if (!info || info.models.length < 2) return null;
  return (
    <label className={css.choice}>
      {say("modelChoice")}
      <select
        value={model || info.default_model}
        onChange={({ target }) => set({ model: target.value })}
      >
        {info.models.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

// Shown from three seconds on: what is shorter is no wait that anybody plans by.
function Pace() {
  const pausedUntil = usePage((state) => state.pausedUntil);
  const queued = usePage((state) => state.pictures.filter((one) => one.stage === "queued").length);
  const limit = usePage(
    (state) => state.limit ?? state.service.info?.rate_limits.per_minute ?? null,
  );
  const n = useSecondsUntil(pausedUntil);
  if (n < 1 || queued === 0 || (queued < 3 && n < 3)) return null;
  const left = inWords(n + secondsAtLimit(queued, limit));
  return <p className={css.pace}>{say("pace", { limit: limit ?? "?", n, left })}</p>;
}
