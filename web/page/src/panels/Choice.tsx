import { useId } from "react";
import css from "./edit.module.css";

interface Props {
  label: string;
  value: string;
  /** Value and name of each. */
  options: readonly (readonly [value: string, name: string])[];
  onChange: (value: string) => void;
}

/** One of a few. */
export function Choice({ label, value, options, onChange }: Props) {
  const id = useId();
  return (
    <p className={css.choice}>
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={({ target }) => onChange(target.value)}>
        {options.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
    </p>
  );
}
