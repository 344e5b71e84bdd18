import { useEffect, useState } from "react";
import { applyToAll } from "../editor/acts.js";
import { forOthers, isPlain, type Looks } from "../editor/looks.js";
import type { Output } from "../editor/session.js";
import { NO_BACKGROUND } from "../export/backgrounds.js";
import type { Finished } from "../export/result.js";
import { canCopy, copy, download, downloadPlain } from "../export/take.js";
import { onAction } from "../keys.js";
import { announce, set, usePage } from "../store.js";
import { say } from "../strings.js";
import { Choice } from "./Choice.js";
import css from "./edit.module.css";
import { Range } from "./Slider.js";

const FORMATS = [
  ["image/png", "PNG"],
  ["image/webp", "WebP"],
  ["image/jpeg", "JPEG"],
] as const;
const LONG_SIDES = [4000, 2000, 1000, 500] as const;

/** What is taken home, and how. */
export function SavePanel({ picture }: { picture: Finished }) {
  const { looks } = picture.history.now;
  const [isBusy, setBusy] = useState(false);
  const work = (what: () => Promise<void>) => {
    setBusy(true);
    void what()
      .catch(() => announce(say("errSave"), true))
      .finally(() => setBusy(false));
  };
  useEffect(() => onAction("download", () => work(() => download(picture))));
  useEffect(() => onAction("copy", () => void copy(picture)));
  return (
    <div className={css.save}>
      <p className={css.row}>
        <button
          type="button"
          className={css.primary}
          disabled={isBusy}
          onClick={() => work(() => download(picture))}
        >
          {say("download")}
        </button>
        {looks.background !== NO_BACKGROUND && (
          <button
            type="button"
            disabled={isBusy}
            onClick={() => work(() => downloadPlain(picture))}
          >
            {say("downloadPlain")}
          </button>
        )}
        <button type="button" disabled={!canCopy()} onClick={() => void copy(picture)}>
          {say("copy")}
        </button>
      </p>
      {!canCopy() && <p className={css.note}>{say("noCopy")}</p>}
      <FileOptions isOpaque={looks.background !== NO_BACKGROUND} />
      <Others picture={picture} />
    </div>
  );
}

function FileOptions({ isOpaque }: { isOpaque: boolean }) {
  const output = usePage((state) => state.output);
  const writesWebp = usePage((state) => state.writesWebp);
  const change = (part: Partial<Output>) => set({ output: { ...output, ...part } });
  const formats = FORMATS.filter(([type]) => type !== "image/webp" || writesWebp);
  const sizes = LONG_SIDES.map((n) => [String(n), say("pixels", { n })] as const);
  return (
    <details className={css.section}>
      <summary>{say("save")}</summary>
      <Choice
        label={say("format")}
        value={output.type}
        options={formats}
        onChange={(type) => change({ type: type as Output["type"] })}
      />
      {output.type !== "image/png" && (
        <Range
          label={say("quality")}
          value={Math.round(output.quality * 100)}
          least={10}
          most={100}
          step={1}
          says={(n) => say("percent", { n })}
          onChange={(n) => change({ quality: n / 100 })}
        />
      )}
      <Choice
        label={say("what")}
        value={output.what}
        options={[
          ["picture", say("whatPicture")],
          ["mask", say("whatMask")],
        ]}
        onChange={(what) => change({ what: what as Output["what"] })}
      />
      <Choice
        label={say("longSide")}
        value={String(output.longSide ?? "")}
        options={[["", say("sizeOwn")], ...sizes]}
        onChange={(side) => change({ longSide: Number(side) || null })}
      />
      {output.type === "image/jpeg" && output.what === "picture" && !isOpaque && (
        <p className={css.note}>{say("jpegNote")}</p>
      )}
    </details>
  );
}

function Others({ picture: { id, history } }: { picture: Finished }) {
  const { looks } = history.now;
  const others = usePage((state) => state.pictures.length - 1);
  const differ = usePage((state) =>
    state.pictures.some((one) => one.id !== id && !isSame(one.history.now.looks, forOthers(looks))),
  );
  if (others < 1 || !differ) return null;
  return (
    <button type="button" onClick={() => applyToAll(id)}>
      {say("applyToAll", { n: others })}
    </button>
  );
}

const isSame = (one: Looks, other: Looks): boolean =>
  (isPlain(one) && isPlain(other)) ||
  (Object.keys(one) as (keyof Looks)[]).every((part) => one[part] === other[part]);
