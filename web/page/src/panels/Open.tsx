import { useEffect } from "react";
import { NO_BACKGROUND } from "../export/backgrounds.js";
import { type Finished, isFinished } from "../export/result.js";
import { canCopy, copy, download } from "../export/take.js";
import { act, onAction } from "../keys.js";
import type { Cure, Failure } from "../queue/failures.js";
import { cancel, makeFit, retry } from "../queue/runner.js";
import { announce, type Picture, set, usePage } from "../store.js";
import { say } from "../strings.js";
import { Stage } from "../view/Stage.js";
import { Backgrounds } from "./Backgrounds.js";
import { State } from "./List.js";
import css from "./panels.module.css";

/** The picture that is open, with what can be done with it. */
export function Open({ picture }: { picture: Picture }) {
  const { id, stage, failure } = picture;
  const isBusy = stage === "uploading" || stage === "working";
  useEffect(() => onAction("cancel", () => isBusy && cancel(id)));
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
  const { cutout } = picture;
  const background = usePage((state) => state.background);
  const save = (plain: boolean) =>
    void download(picture, plain).catch(() => announce(say("errSave"), true));
  useEffect(() => onAction("download", () => save(false)));
  useEffect(() => onAction("copy", () => void copy(picture)));
  return (
    <>
      {!cutout.subjectFound && <p role="status">{say("nothingFound")}</p>}
      <p className={css.actions}>
        <button type="button" className={css.primary} onClick={() => save(false)}>
          {say("download")}
        </button>
        {background !== NO_BACKGROUND && (
          <button type="button" onClick={() => save(true)}>
            {say("downloadPlain")}
          </button>
        )}
        <button type="button" disabled={!canCopy()} onClick={() => void copy(picture)}>
          {say("copy")}
        </button>
      </p>
      {!canCopy() && <p className={css.muted}>{say("noCopy")}</p>}
      <Backgrounds />
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
