"use client";

import {
  type ChangeEvent,
  type FC,
  type MouseEvent,
  type ReactNode,
  type RefObject,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import {
  type BackgroundRemovalState,
  type RemovalSettings,
  useBackgroundRemoval,
} from "./useBackgroundRemoval.js";

/** Every text of the component; `{n}` and the like are filled in. */
export interface Labels {
  choose: string;
  uploading: string;
  working: string;
  waiting: string;
  cancel: string;
  done: string;
  nothingFound: string;
  error: string;
  original: string;
  processed: string;
  noPreview: string;
  download: string;
  info: string;
  noInfo: string;
  /** In place of the service's words, by its error codes. */
  codes: Readonly<Record<string, string>>;
}

const ENGLISH: Labels = {
  choose: "Choose a picture",
  uploading: "Sending the picture",
  working: "Removing the background",
  waiting: "Trying again soon: {reason}",
  cancel: "Cancel",
  done: "The background is removed.",
  nothingFound: "No subject was found in this picture.",
  error: "Error: {reason}",
  original: "Original",
  processed: "Background removed",
  noPreview: "This browser cannot show this kind of file.",
  download: "Download",
  info: "{ms} ms, {size}, {model}",
  noInfo: "How long it took and which model ran is not told here.",
  codes: {},
};

/** What the service reads without further packages. No HEIC: iOS then hands over a JPEG. */
const ACCEPT = "image/jpeg,image/png,image/webp,image/bmp,image/tiff,image/gif,image/avif";

export interface BackgroundRemovalProps extends RemovalSettings {
  className?: string | undefined;
  /** Other words, or another language. */
  labels?: Partial<Labels> | undefined;
  /** Kinds of files that may be chosen, as in `<input accept>`. */
  accept?: string | undefined;
  /** Shown in place of the two pictures. */
  children?: ((state: BackgroundRemovalState) => ReactNode) | undefined;
}

/** Choose a picture, see it beside its cutout, download the cutout. */
export const BackgroundRemoval: FC<BackgroundRemovalProps> = (props) => {
  const { className, labels, accept = ACCEPT, children, ...settings } = props;
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const state = useBackgroundRemoval(settings);
  const words = { ...ENGLISH, ...labels };
  const choose = ({ target }: ChangeEvent<HTMLInputElement>) => {
    const file = target.files?.[0];
    if (file) void state.removeBackground(file);
  };
  return (
    <div className={className ? `bgr-root ${className}` : "bgr-root"} data-status={state.status}>
      <label className="bgr-label" htmlFor={id}>
        {words.choose}
      </label>
      <input
        ref={input}
        className="bgr-input"
        id={id}
        type="file"
        accept={accept}
        onClick={forget}
        onChange={choose}
      />
      <Progress state={state} words={words} input={input} />
      {children ? children(state) : <Pictures state={state} words={words} />}
    </div>
  );
};

// So that the same file may be chosen again; until then its name stays to be read.
const forget = ({ currentTarget }: MouseEvent<HTMLInputElement>) => {
  currentTarget.value = "";
};

interface PartProps {
  state: BackgroundRemovalState;
  words: Labels;
}

type Input = RefObject<HTMLInputElement | null>;

function Progress({ state, words, input }: PartProps & { input: Input }) {
  const { status, processing, progress, problem, error } = state;
  const reason = problem ? (words.codes[problem.error_code] ?? problem.detail) : "";
  return (
    <>
      <div className="bgr-status" role="status">
        {status === "uploading" && words.uploading}
        {status === "working" && words.working}
        {status === "waiting" && fill(words.waiting, { reason })}
        {status === "done" && (state.removal?.subjectFound ? words.done : words.nothingFound)}
      </div>
      <div className="bgr-error" role="alert">
        {error && <p>{fill(words.error, { reason })}</p>}
      </div>
      {processing && (
        <div className="bgr-progress">
          <progress
            value={status === "uploading" ? (progress ?? 0) : undefined}
            aria-label={status === "uploading" ? words.uploading : words.working}
          />
          <CancelButton onClick={state.cancel} text={words.cancel} input={input} />
        </div>
      )}
    </>
  );
}

// It goes when the work is over, and hands the focus on before it does.
function CancelButton({
  onClick,
  text,
  input,
}: {
  onClick: () => void;
  text: string;
  input: Input;
}) {
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const here = button.current;
    return () => {
      if (here === document.activeElement) input.current?.focus();
    };
  }, [input]);
  return (
    <button ref={button} type="button" className="bgr-button" onClick={onClick}>
      {text}
    </button>
  );
}

function Pictures({ state, words }: PartProps) {
  const { originalUrl, processedUrl, removal, info } = state;
  return (
    <div className="bgr-pictures">
      {originalUrl && <Picture url={originalUrl} title={words.original} words={words} />}
      {processedUrl && (
        <Picture url={processedUrl} title={words.processed} words={words}>
          <a
            className="bgr-button"
            href={processedUrl}
            download={removal?.fileName ?? "cutout.png"}
          >
            {words.download}
          </a>
          <p className="bgr-info">
            {info
              ? fill(words.info, {
                  ms: info.processing_time_ms.toFixed(1),
                  size: info.original_size,
                  model: info.model_version,
                })
              : words.noInfo}
          </p>
        </Picture>
      )}
    </div>
  );
}

interface PictureProps {
  url: string;
  title: string;
  words: Labels;
  children?: ReactNode;
}

function Picture({ url, title, words, children }: PictureProps) {
  const [broken, setBroken] = useState<string | null>(null);
  return (
    <figure className="bgr-picture">
      <figcaption>{title}</figcaption>
      {broken === url ? (
        <p>{words.noPreview}</p>
      ) : (
        <img src={url} alt={title} onError={() => setBroken(url)} />
      )}
      {children}
    </figure>
  );
}

const fill = (text: string, slots: Readonly<Record<string, string>>): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => slots[name] ?? whole);
