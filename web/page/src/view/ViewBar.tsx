import { redoEdit, startOver, undoEdit } from "../editor/acts.js";
import { isPlain } from "../editor/looks.js";
import { type Picture, set, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./Stage.module.css";
import type { View } from "./useView.js";

/** Buttons for what else the divider, the wheel and the fingers do. */
export function ViewBar({ view, picture }: { view: View; picture: Picture }) {
  const hasCutout = picture.cutout !== null;
  const split = usePage((state) => state.split);
  const percent = Math.round((view.placement?.scale ?? 1) * devicePixelRatio * 100);
  const show = (value: number, label: string) => (
    <button
      type="button"
      aria-pressed={hasCutout && split === value}
      disabled={!hasCutout}
      onClick={() => set({ split: value })}
    >
      {label}
    </button>
  );
  return (
    <div className={css.bar}>
      <fieldset className={css.group}>
        <legend className="hidden">{say("viewGroup")}</legend>
        {show(100, say("original"))}
        {show(50, say("half"))}
        {show(0, say("cutout"))}
      </fieldset>
      <fieldset className={css.group}>
        <legend className="hidden">{say("zoomGroup")}</legend>
        <button type="button" aria-label={say("zoomOut")} onClick={() => view.zoom(-1)}>
          −
        </button>
        <output className={css.percent}>{say("zoomIs", { percent })}</output>
        <button type="button" aria-label={say("zoomIn")} onClick={() => view.zoom(1)}>
          +
        </button>
        <button type="button" onClick={view.fit}>
          {say("zoomFit")}
        </button>
      </fieldset>
      {hasCutout && <Steps picture={picture} />}
    </div>
  );
}

function Steps({ picture: { id, history } }: { picture: Picture }) {
  return (
    <fieldset className={css.group}>
      <legend className="hidden">{say("stepsGroup")}</legend>
      <button type="button" disabled={history.past.length === 0} onClick={() => undoEdit(id)}>
        {say("undoEdit")}
      </button>
      <button type="button" disabled={history.future.length === 0} onClick={() => redoEdit(id)}>
        {say("redoEdit")}
      </button>
      <button
        type="button"
        disabled={history.now.edits.length === 0 && isPlain(history.now.looks)}
        onClick={() => startOver(id)}
      >
        {say("startOver")}
      </button>
    </fieldset>
  );
}
