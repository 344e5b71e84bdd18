import { set, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./Stage.module.css";
import type { View } from "./useView.js";

/** Buttons for what else the divider, the wheel and the fingers do. */
export function ViewBar({ view, hasCutout }: { view: View; hasCutout: boolean }) {
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
    </div>
  );
}
