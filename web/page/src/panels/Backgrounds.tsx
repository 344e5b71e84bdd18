import { useEffect } from "react";
import { BACKGROUND_NAMES, BACKGROUNDS, cssOf, NO_BACKGROUND } from "../export/backgrounds.js";
import { onAction } from "../keys.js";
import { get, set, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";

/** What lies behind the cutouts, in the view and in what is taken home. */
export function Backgrounds() {
  const chosen = usePage((state) => state.background);
  const colour = usePage((state) => state.colour);
  useEffect(() => onAction("background", turn));
  return (
    <fieldset className={css.backgrounds}>
      <legend>{say("backgroundGroup")}</legend>
      {BACKGROUND_NAMES.map((name) => (
        <label key={name} className={css.swatch} title={say(BACKGROUNDS[name].label)}>
          <input
            type="radio"
            name="background"
            aria-label={say(BACKGROUNDS[name].label)}
            checked={name === chosen}
            onChange={() => set({ background: name })}
          />
          <span
            className={name === NO_BACKGROUND ? css.checker : undefined}
            style={{ background: cssOf(name, colour) }}
          />
        </label>
      ))}
      {chosen === "colour" && (
        <label className={css.choice}>
          {say("bgPick")}
          <input
            type="color"
            value={colour}
            onChange={({ target }) => set({ colour: target.value })}
          />
        </label>
      )}
      {chosen !== NO_BACKGROUND && <p className={css.muted}>{say("bgNote")}</p>}
    </fieldset>
  );
}

function turn(): void {
  const at = BACKGROUND_NAMES.indexOf(get().background);
  set({ background: BACKGROUND_NAMES[(at + 1) % BACKGROUND_NAMES.length] ?? NO_BACKGROUND });
}
