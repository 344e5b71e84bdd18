import { useEffect } from "react";
import { redoEdit, undoEdit } from "../editor/acts.js";
import { type Finished, isFinished } from "../export/result.js";
import { act, onAction } from "../keys.js";
import type { Cure, Failure } from "../queue/failures.js";
import { cancel, makeFit, retry } from "../queue/runner.js";
import { type Picture, set } from "../store.js";
import { say } from "../strings.js";
import { Stage } from "../view/Stage.js";
import { Backgrounds } from "./Backgrounds.js";
import { BrushPanel } from "./BrushPanel.js";
import { CropPanel } from "./CropPanel.js";
import { EdgePanel } from "./EdgePanel.js";
import { State } from "./List.js";
import css from "./panels.module.css";
import { SavePanel } from "./SavePanel.js";

/** The picture that is open, with what can be done with it. */
export function Open({ picture }: { picture: Picture }) {
  const { id, stage, failure } = picture;
  const isBusy = stage === "uploading" || stage === "working";
  useEffect(() => onAction("cancel", () => (isBusy ? cancel(id) : set({ tool: "move" }))));
  useEffect(() => onAction("undo", () => undoEdit(id)));
  useEffect(() => onAction("redo", () => redoEdit(id)));
  return (
    <section className={css.open} aria-label={picture.name}>
      <Stage key={id} picture={picture} />
      <div className={css.side}>
        <h2 className={css.fileName}>{picture.name}</h2>
        {failure && <FailureBox id={id} failure={failure} />}
        {!failure && !isFinished(picture) && (
          <p>
            <State picture={picture} />{" "}
            {stage !== "shrinking" && (
              <button type="button" onClick={() => cancel(id)}>
                {say("cancel")}
              </button>
            )}
          </p>
        )}
        {isFinished(picture) && <Result picture={picture} />}
      </div>
    </section>
  );
}

function FailureBox({ id, failure }: { id: number; failure: Failure }) {
  const does: Record<Cure, [label: string, run: () => void]> = {
    retry: [say("retry"), () => retry(id)],
    fit: [say("fit"), () => void makeFit(id)],
    other: [say("otherFile"), () => act("choose", undefined)],
    key: [say("enterKey"), () => set({ dialog: "settings" })],
  };
  return (
    <div className={css.failure} data-code={failure.code}>
      <p>{failure.text}</p>
      <p className={css.cures}>
        {failure.cures.map((cure) => (
          <button key={cure} type="button" onClick={does[cure][1]}>
            {does[cure][0]}
          </button>
        ))}
      </p>
      {failure.requestId && (
        <p className={css.muted}>{say("details", { id: failure.requestId })}</p>
      )}
    </div>
  );
}

function Result({ picture }: { picture: Finished }) {
  return (
    <>
      {!picture.cutout.subjectFound && <p role="status">{say("nothingFound")}</p>}
      <SavePanel picture={picture} />
      <BrushPanel picture={picture} />
      <EdgePanel picture={picture} />
      <Backgrounds picture={picture} />
      <CropPanel picture={picture} />
      <Facts picture={picture} />
    </>
  );
}

function Facts({ picture: { cutout } }: { picture: Finished }) {
  const { wire, service, drawn } = cutout.took;
  const ms = (value: number) => Math.round(value).toLocaleString("en");
  const total = ms(wire + service + (drawn ?? 0));
  return (
    <p className={css.muted} data-facts>
      {say("serves", { model: cutout.model, engine: cutout.engine })}
      <br />
      {say("took", {
        total,
        wire: ms(wire),
        service: ms(service),
        drawn: drawn === null ? "…" : ms(drawn),
      })}
    </p>
  );
}
