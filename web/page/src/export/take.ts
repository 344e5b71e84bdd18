import { documentOf } from "../editor/acts.js";
import type { Document } from "../editor/document.js";
import { isPlain, PLAIN } from "../editor/looks.js";
import { Remote } from "../editor/remote.js";
import type { Output } from "../editor/session.js";
import { announce, get } from "../store.js";
import { say } from "../strings.js";
import { type Finished, fileNameOf, fileNamesOf, isFinished } from "./result.js";

const PNG: Output = { type: "image/png", quality: 1, what: "picture", longSide: null };

/** Makes files in a worker of its own, whose memory is given back at the end. */
class Maker {
  private remote: Remote | null = null;

  /** The service's own bytes where nothing has been made of them. @throws Error if it cannot be made. */
  async make({ file, cutout }: Finished, now: Document, output: Output): Promise<Blob> {
    const isOwn = now.edits.length === 0 && isPlain(now.looks);
    const { type, what, longSide } = output;
    if (isOwn && type === "image/png" && what === "picture" && longSide === null)
      return cutout.blob;
    this.remote ??= new Remote();
    return this.remote.call("file", { source: file, cutout: cutout.blob }, now, output);
  }

  close(): void {
    this.remote?.close();
  }
}

async function withMaker<T>(work: (maker: Maker) => Promise<T>): Promise<T> {
  const maker = new Maker();
  try {
    return await work(maker);
  } finally {
    maker.close();
  }
}

/** Download one picture as it is shown. */
export async function download(picture: Finished): Promise<void> {
  const { output } = get();
  const now = await documentOf(picture);
  const blob = await withMaker((maker) => maker.make(picture, now, output));
  hand(blob, fileNameOf(picture.name, output));
}

/** The same with its strokes and its edge, but whole, and with nothing behind it. */
export async function downloadPlain(picture: Finished): Promise<void> {
  const { edits, looks } = await documentOf(picture);
  const { smooth, shift, feather } = looks;
  const now = { edits, looks: { ...PLAIN, smooth, shift, feather } };
  const blob = await withMaker((maker) => maker.make(picture, now, PNG));
  hand(blob, fileNameOf(picture.name, PNG));
}

/** Download every finished picture, each as it is shown, as one ZIP. */
export async function downloadAll(): Promise<void> {
  const { pictures, output } = get();
  const finished = pictures.filter(isFinished);
  const names = fileNamesOf(
    finished.map((one) => one.name),
    output,
  );
  const { downloadZip } = await import("client-zip");
  await withMaker(async (maker) => {
    async function* files() {
      for (const [i, picture] of finished.entries()) {
        const input = await maker.make(picture, await documentOf(picture), output);
        yield { name: names[i] ?? "", input };
      }
    }
    hand(await downloadZip(files()).blob(), "cutouts.zip");
  });
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

/** Copy one picture as it is shown, as a PNG. */
export async function copy(picture: Finished): Promise<void> {
  if (!canCopy()) return announce(say("noCopy"), true);
  const { what, longSide } = get().output;
  try {
    await withMaker(async (maker) => {
      const png = documentOf(picture).then((now) =>
        maker.make(picture, now, { ...PNG, what, longSide }),
      );
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    });
    announce(say("copied"), true);
  } catch {
    announce(say("copyFailed"), true);
  }
}
