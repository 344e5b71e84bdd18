import { useEffect, useRef } from "react";
import { changeLooks, letGo } from "../editor/acts.js";
import type { Backdrop, Looks, Shadow } from "../editor/looks.js";
import { BACKGROUND_NAMES, BACKGROUNDS, cssOf, NO_BACKGROUND } from "../export/backgrounds.js";
import type { Finished } from "../export/result.js";
import { onAction } from "../keys.js";
import { announce } from "../store.js";
import { type StringKey, say } from "../strings.js";
import { Choice } from "./Choice.js";
import css from "./edit.module.css";
import { Slider } from "./Slider.js";
import { Templates } from "./Templates.js";

const SHADOWS: readonly (readonly [Shadow, StringKey])[] = [
  ["none", "shadowNone"],
  ["drop", "shadowDrop"],
  ["contact", "shadowContact"],
];
const percent = (n: number) => say("percent", { n });
const share = (n: number) => say("percent", { n: Math.round(n * 100) });
let nextBackdrop = 1;

/** What lies behind the cutout and under it, in the view and in what is taken home. */
export function Backgrounds({ picture: { id, history } }: { picture: Finished }) {
  const { looks } = history.now;
  const { background } = looks;
  useEffect(() => onAction("background", () => turn(id, looks)));
  const isBehind = background !== NO_BACKGROUND;
  return (
    <details className={css.section} open>
      <summary>{say("backgroundGroup")}</summary>
      <Swatches id={id} looks={looks} />
      {background === "colour" && (
        <label className={css.choice}>
          {say("bgPick")}
          <input
            type="color"
            value={looks.colour}
            onChange={({ target }) => changeLooks(id, { colour: target.value }, "colour")}
            onBlur={() => letGo(id)}
          />
        </label>
      )}
      {background === "blur" && (
        <Slider
          {...{ id, part: "blur", value: looks.blur, label: say("bgBlurBy") }}
          {...{ least: 0.2, most: 6, step: 0.1, says: percent }}
        />
      )}
      {background === "picture" && <Picture id={id} looks={looks} />}
      {isBehind && (
        <Slider
          {...{ id, part: "match", value: looks.match, label: say("match") }}
          {...{ least: 0, most: 1, step: 0.05, says: share }}
        />
      )}
      <ShadowChoice id={id} looks={looks} />
    </details>
  );
}

interface Props {
  id: number;
  looks: Looks;
}

function Swatches({ id, looks }: Props) {
  return (
    <fieldset className={css.swatches}>
      <legend className="hidden">{say("backgroundGroup")}</legend>
      {BACKGROUND_NAMES.map((name) => (
        <label key={name} className={css.swatch} title={say(BACKGROUNDS[name].label)}>
          <input
            type="radio"
            name="background"
            aria-label={say(BACKGROUNDS[name].label)}
            checked={name === looks.background}
            onChange={() => changeLooks(id, { background: name })}
          />
          <span data-background={name} style={{ background: cssOf(name, looks.colour) }} />
        </label>
      ))}
    </fieldset>
  );
}

function Picture({ id, looks }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const lay = (name: string, blob: Blob) =>
    void checked({ id: nextBackdrop++, name, blob }).then(
      (backdrop) => changeLooks(id, { backdrop, background: "picture" }),
      () => announce(say("errBackdrop"), true),
    );
  return (
    <>
      <p className={css.row}>
        <button type="button" onClick={() => field.current?.click()}>
          {say("bgChoose")}
        </button>
        <input
          ref={field}
          type="file"
          accept="image/*"
          hidden
          data-for="background"
          onChange={({ target }) => {
            const file = target.files?.[0];
            if (file) lay(file.name, file);
            target.value = ""; // else the same file could not be chosen again
          }}
        />
      </p>
      <Choice
        label={say("bgFit")}
        value={looks.fit}
        options={[
          ["cover", say("bgCover")],
          ["contain", say("bgContain")],
        ]}
        onChange={(fit) => changeLooks(id, { fit: fit as Looks["fit"] })}
      />
      {looks.backdrop && <p className={css.note}>{looks.backdrop.name}</p>}
      <Templates chosen={looks.backdrop?.name ?? null} onChoose={lay} />
    </>
  );
}

/** @throws Error if this browser cannot read the picture. */
async function checked(backdrop: Backdrop): Promise<Backdrop> {
  (await createImageBitmap(backdrop.blob)).close();
  return backdrop;
}

function ShadowChoice({ id, looks }: Props) {
  return (
    <>
      <Choice
        label={say("shadow")}
        value={looks.shadow}
        options={SHADOWS.map(([kind, label]) => [kind, say(label)])}
        onChange={(shadow) => changeLooks(id, { shadow: shadow as Shadow })}
      />
      {looks.shadow !== "none" && (
        <Slider
          {...{ id, part: "shadowOpacity", value: looks.shadowOpacity, label: say("shadowBy") }}
          {...{ least: 0.05, most: 1, step: 0.05, says: share }}
        />
      )}
    </>
  );
}

function turn(id: number, { background }: Looks): void {
  const at = BACKGROUND_NAMES.indexOf(background);
  changeLooks(id, {
    background: BACKGROUND_NAMES[(at + 1) % BACKGROUND_NAMES.length] ?? NO_BACKGROUND,
  });
}
