import { announce, get } from "../store.js";
import { say } from "../strings.js";
import { NO_BACKGROUND } from "./backgrounds.js";
import { type Finished, fileNameOf, fileNamesOf, isFinished, resultOf } from "./result.js";

/** Download one picture as it is shown, or without its background. */
export async function download(picture: Finished, plain = false): Promise<void> {
  const { background, colour } = get();
  const blob = await resultOf(picture, plain ? NO_BACKGROUND : background, colour);
  hand(blob, fileNameOf(picture.name));
}

/** Download every finished picture as one ZIP. */
export async function downloadAll(): Promise<void> {
  const { pictures, background, colour } = get();
  const finished = pictures.filter(isFinished);
  const names = fileNamesOf(finished.map((one) => one.name));
  const { downloadZip } = await import("client-zip");
  async function* files() {
    for (const [i, picture] of finished.entries()) {
      yield { name: names[i] ?? "", input: await resultOf(picture, background, colour) };
    }
  }
  hand(await downloadZip(files()).blob(), "cutouts.zip");
}

function hand(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Whether this page may write to the clipboard at all: on https and on localhost. */
export const canCopy = (): boolean => "clipboard" in navigator && "ClipboardItem" in globalThis;

/** Copy one picture as it is shown. */
export async function copy(picture: Finished): Promise<void> {
  if (!canCopy()) return announce(say("noCopy"), true);
  const { background, colour } = get();
  try {
    const png = resultOf(picture, background, colour);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    announce(say("copied"), true);
  } catch {
    announce(say("copyFailed"), true);
  }
}
