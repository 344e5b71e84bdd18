import { useEffect, useState } from "react";
import { chooseTool, LEAST_BRUSH, MOST_BRUSH, sizeBrush } from "../editor/acts.js";
import { lookAgain, MOST_OF_PICTURE } from "../editor/lookAgain.js";
import type { Finished } from "../export/result.js";
import { onAction } from "../keys.js";
import { get, set, type Tool, usePage } from "../store.js";
import { type StringKey, say } from "../strings.js";
import css from "./edit.module.css";
import { Range } from "./Slider.js";

const TOOLS: readonly { tool: Tool; label: StringKey; sign: string }[] = [
  { tool: "keep", label: "keep", sign: "+" },
  { tool: "remove", label: "erase", sign: "−" },
];

/** What mends the matte: brushes, and another look of the network. */
export function BrushPanel({ picture }: { picture: Finished }) {
  const tool = usePage((state) => state.tool);
  const brush = usePage((state) => state.brush);
  useEffect(() => onAction("keepBrush", () => chooseTool("keep")));
  useEffect(() => onAction("removeBrush", () => chooseTool("remove")));
  useEffect(() =>
    onAction("swapBrush", () => set({ tool: get().tool === "keep" ? "remove" : "keep" })),
  );
  useEffect(() => onAction("smallerBrush", () => sizeBrush(0.8)));
  useEffect(() => onAction("largerBrush", () => sizeBrush(1.25)));
  return (
    <details className={css.section} open>
      <summary>{say("brush")}</summary>
      <fieldset className={css.row}>
        <legend className="hidden">{say("tool")}</legend>
        {TOOLS.map(({ tool: one, label, sign }) => (
          <button
            key={one}
            type="button"
            aria-pressed={tool === one}
            data-kind={one}
            onClick={() => chooseTool(one)}
          >
            <span aria-hidden="true">{sign}</span> {say(label)}
          </button>
        ))}
      </fieldset>
      <Range
        label={say("brushSize")}
        value={brush.size}
        least={LEAST_BRUSH}
        most={MOST_BRUSH}
        step={1}
        says={(n) => say("pixels", { n })}
        onChange={(size) => set({ brush: { ...brush, size } })}
      />
      <label className={css.check}>
        <input
          type="checkbox"
          checked={brush.follows}
          onChange={({ target }) => set({ brush: { ...brush, follows: target.checked } })}
        />
        {say("follows")}
      </label>
      {(tool === "keep" || tool === "remove") && (
        <p className={css.note}>
          {say("brushNote")} {say("brushKeys")}
        </p>
      )}
      <Again picture={picture} />
    </details>
  );
}

function Again({ picture }: { picture: Finished }) {
  const view = usePage((state) => state.seen?.inView ?? null);
  const [isBusy, setBusy] = useState(false);
  const isPart = view !== null && view.share <= MOST_OF_PICTURE;
  const look = () => {
    if (!view) return;
    setBusy(true);
    void lookAgain(picture, view.part).finally(() => setBusy(false));
  };
  return (
    <>
      <button type="button" disabled={!isPart || isBusy} onClick={look}>
        {say(isBusy ? "againBusy" : "again")}
      </button>
      <p className={css.note}>{say("againNote")}</p>
    </>
  );
}
