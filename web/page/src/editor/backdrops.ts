/** What lies behind a cutout, drawn by the browser: a picture or a gradient. Runs in a worker. */
import type { Colours } from "../matting/pixels.js";
import type { Backdrop, Frame } from "./looks.js";

type Size = Pick<Frame, "width" | "height">;
type Context = OffscreenCanvasRenderingContext2D;

let last: { id: number; picture: ImageBitmap } | null = null;

/** A picture on a canvas: filling it, or whole and in the middle, on white. */
export async function drawBackdrop(
  { id, blob }: Backdrop,
  fit: "cover" | "contain",
  size: Size,
): Promise<Colours> {
  if (last?.id !== id) {
    const picture = await createImageBitmap(blob);
    last?.picture.close();
    last = { id, picture };
  }
  const { picture } = last;
  const scales = [size.width / picture.width, size.height / picture.height];
  const scale = fit === "cover" ? Math.max(...scales) : Math.min(...scales);
  const [width, height] = [picture.width * scale, picture.height * scale];
  return drawn(size, (context) => {
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, size.width, size.height);
    const [left, top] = [(size.width - width) / 2, (size.height - height) / 2];
    context.drawImage(picture, left, top, width, height);
  });
}

/** Colours from top to bottom. */
export function drawStops(stops: readonly string[], size: Size): Colours {
  return drawn(size, (context) => {
    const fill = context.createLinearGradient(0, 0, 0, size.height);
    for (const [i, stop] of stops.entries()) fill.addColorStop(i / (stops.length - 1), stop);
    context.fillStyle = fill;
    context.fillRect(0, 0, size.width, size.height);
  });
}

/** The pixels of what is drawn, straight. @throws Error if this browser has no canvas of that size. */
export function drawn({ width, height }: Size, draw: (context: Context) => void): Colours {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas of this size");
  context.imageSmoothingQuality = "high";
  draw(context);
  const { data } = context.getImageData(0, 0, width, height); // its own members cannot be spread
  return { width, height, data: data as Colours["data"] };
}
