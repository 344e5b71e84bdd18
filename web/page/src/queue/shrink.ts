import type { Info } from "birefnet-background-removal/client";

type Limits = Info["limits"];

/**
 * The size that fits into the limits, in the same proportions; never larger than it is.
 */
export function fittingSize(width: number, height: number, limits: Limits): [number, number] {
  const long = Math.max(width, height);
  const short = Math.min(width, height);
  const scale = Math.min(
    1,
    limits.max_long_side / long,
    limits.max_short_side / short,
    Math.sqrt(limits.max_pixels / (width * height)),
  );
  return [Math.max(1, Math.floor(width * scale)), Math.max(1, Math.floor(height * scale))];
}

/**
 * The picture as a JPEG that the service takes: within its pixels, and then within its bytes.
 *
 * @throws Error if this browser cannot read or scale the picture.
 */
export async function shrink(file: File, limits: Limits): Promise<File> {
  const whole = await createImageBitmap(file);
  let [width, height] = fittingSize(whole.width, whole.height, limits);
  try {
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const blob = await draw(whole, width, height);
      if (blob.size <= limits.max_file_bytes * 0.98) {
        return new File([blob], file.name.replace(/\.[^.]*$/, ".jpg"), { type: blob.type });
      }
      width = Math.floor(width * 0.75);
      height = Math.floor(height * 0.75);
    }
  } finally {
    whole.close();
  }
  throw new Error("it stays too large");
}

async function draw(whole: ImageBitmap, width: number, height: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas of this size");
  context.fillStyle = "#ffffff"; // a JPEG has no transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, width, height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}
