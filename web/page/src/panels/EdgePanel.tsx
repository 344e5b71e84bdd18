import type { Finished } from "../export/result.js";
import { say } from "../strings.js";
import css from "./edit.module.css";
import { Slider } from "./Slider.js";

const px = (n: number) => say("pixels", { n });

/** How the edge is: in pixels of the whole picture. */
export function EdgePanel({ picture: { id, history } }: { picture: Finished }) {
  const { smooth, feather, shift } = history.now.looks;
  return (
    <details className={css.section}>
      <summary>{say("edge")}</summary>
      <Slider
        {...{ id, part: "smooth", value: smooth, label: say("smooth") }}
        least={0}
        most={8}
        step={0.5}
        says={px}
      />
      <Slider
        {...{ id, part: "feather", value: feather, label: say("feather") }}
        least={0}
        most={40}
        step={0.5}
        says={px}
      />
      <Slider
        {...{ id, part: "shift", value: shift, label: say("shift") }}
        least={-20}
        most={20}
        step={0.5}
        says={px}
      />
    </details>
  );
}
