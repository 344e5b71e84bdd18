import { useId } from "react";
import { changeLooks, letGo } from "../editor/acts.js";
import type { Looks } from "../editor/looks.js";
import css from "./edit.module.css";

type Numbers = { [K in keyof Looks]: Looks[K] extends number ? K : never }[keyof Looks];

interface Props {
  id: number;
  part: Numbers;
  value: number;
  label: string;
  least: number;
  most: number;
  step: number;
  /** What the value is called. */
  says: (value: number) => string;
}

/** One number of the looks; all of a drag is one step to undo. */
export function Slider({ id, part, value, label, least, most, step, says }: Props) {
  const end = () => letGo(id);
  return (
    <Range
      {...{ label, least, most, step, value, says }}
      onChange={(next) => changeLooks(id, { [part]: next }, part)}
      onEnd={end}
    />
  );
}

interface RangeProps extends Omit<Props, "id" | "part"> {
  onChange: (value: number) => void;
  onEnd?: () => void;
}

export function Range({ label, value, least, most, step, says, onChange, onEnd }: RangeProps) {
  const name = useId();
  return (
    <p className={css.slider}>
      <label htmlFor={name}>{label}</label>
      <output htmlFor={name}>{says(value)}</output>
      <input
        id={name}
        type="range"
        min={least}
        max={most}
        step={step}
        value={value}
        aria-valuetext={says(value)}
        onChange={({ target }) => onChange(Number(target.value))}
        onPointerUp={onEnd}
        onKeyUp={onEnd}
        onBlur={onEnd}
      />
    </p>
  );
}
