import { useState } from "react";
import { changeLooks, letGo } from "../editor/acts.js";
import { held } from "../editor/frames.js";
import type { Crop, Frame } from "../editor/looks.js";
import type { Finished } from "../export/result.js";
import { get, set, usePage } from "../store.js";
import { type StringKey, say } from "../strings.js";
import css from "./edit.module.css";
import { Range } from "./Slider.js";

const KINDS = { none: "cropNone", subject: "cropSubject", frame: "cropFrame" } as const;
const SIDES: readonly { side: keyof Frame; label: StringKey }[] = [
  { side: "left", label: "cropLeft" },
  { side: "top", label: "cropTop" },
  { side: "width", label: "cropWidth" },
  { side: "height", label: "cropHeight" },
];

/** How much of the picture is taken. */
export function CropPanel({ picture }: { picture: Finished }) {
  const { id, history } = picture;
  const { crop } = history.now.looks;
  const change = (next: Crop | null, slider: string | null = null) =>
    changeLooks(id, { crop: next }, slider);
  const choose = (kind: keyof typeof KINDS) => {
    const { seen } = get();
    set({ tool: kind === "frame" ? "crop" : "move" });
    if (kind === "subject") change({ to: "subject", margin: 5, square: false });
    else change(kind === "frame" && seen ? { to: "frame", ...held(seen.area, seen.size) } : null);
  };
  return (
    <details className={css.section}>
      <summary>{say("crop")}</summary>
      <fieldset className={css.choices}>
        <legend className="hidden">{say("cropGroup")}</legend>
        {Object.entries(KINDS).map(([kind, label]) => (
          <label key={kind} className={css.check}>
            <input
              type="radio"
              name="crop"
              checked={(crop?.to ?? "none") === kind}
              onChange={() => choose(kind as keyof typeof KINDS)}
            />
            {say(label)}
          </label>
        ))}
      </fieldset>
      {crop?.to === "subject" && (
        <>
          <Range
            label={say("margin")}
            value={crop.margin}
            least={0}
            most={50}
            step={1}
            says={(n) => say("percent", { n })}
            onChange={(margin) => change({ ...crop, margin }, "margin")}
            onEnd={() => letGo(id)}
          />
          <label className={css.check}>
            <input
              type="checkbox"
              checked={crop.square}
              onChange={({ target }) => change({ ...crop, square: target.checked })}
            />
            {say("square")}
          </label>
        </>
      )}
      {crop?.to === "frame" && <ByHand id={id} crop={crop} />}
    </details>
  );
}

interface NumberProps {
  label: string;
  value: number;
  onChange: (value: number) => void;
  onEnd: () => void;
}

// While somebody types, it has what was typed: half a number may be none, or out of bounds.
function NumberField({ label, value, onChange, onEnd }: NumberProps) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <label>
      {label}
      <input
        type="number"
        value={typed ?? value}
        onChange={({ target }) => {
          setTyped(target.value);
          if (Number.isFinite(target.valueAsNumber)) onChange(target.valueAsNumber);
        }}
        onBlur={() => {
          setTyped(null);
          onEnd();
        }}
      />
    </label>
  );
}

function ByHand({ id, crop }: { id: number; crop: Crop & Frame }) {
  const tool = usePage((state) => state.tool);
  const size = usePage((state) => state.seen?.size);
  const change = (side: keyof Frame, value: number) => {
    if (!size) return;
    changeLooks(id, { crop: { to: "frame", ...held({ ...crop, [side]: value }, size) } }, "crop");
  };
  return (
    <>
      <button
        type="button"
        aria-pressed={tool === "crop"}
        onClick={() => set({ tool: get().tool === "crop" ? "move" : "crop" })}
      >
        {say("cropAdjust")}
      </button>
      <p className={css.fields}>
        {SIDES.map(({ side, label }) => (
          <NumberField
            key={side}
            label={say(label)}
            value={crop[side]}
            onChange={(value) => change(side, value)}
            onEnd={() => letGo(id)}
          />
        ))}
      </p>
    </>
  );
}
