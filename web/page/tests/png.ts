import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import type { Colours, Matte } from "../src/matting/pixels.js";

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 6: 4 };

/** Read a PNG of 8 bits per channel, not interlaced: grey, RGB or RGBA. */
function readPng(path: URL) {
  const file = readFileSync(path);
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const end = at + 8 + file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, end));
  }
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const channels = CHANNELS[file.readUInt8(25)];
  if (!channels || file.readUInt8(24) !== 8) throw new Error(`${path} is not a PNG of 8 bits`);
  return {
    width,
    height,
    channels,
    data: undoFilters(inflateSync(Buffer.concat(parts)), width * channels, channels),
  };
}

function undoFilters(rows: Buffer, length: number, channels: number): Uint8Array {
  const height = rows.length / (length + 1);
  const data = new Uint8Array(height * length);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (length + 1)];
    for (let x = 0; x < length; x++) {
      const at = y * length + x;
      const left = x < channels ? 0 : (data[at - channels] ?? 0);
      const above = data[at - length] ?? 0;
      const corner = x < channels ? 0 : (data[at - length - channels] ?? 0);
      const guess = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter ?? 0];
      data[at] = (rows[y * (length + 1) + 1 + x] ?? 0) + (guess ?? 0);
    }
  }
  return data;
}

function paeth(left: number, above: number, corner: number): number {
  const [a, b, c] = [left, above, corner].map((one) => Math.abs(left + above - corner - one));
  if (a === undefined || b === undefined || c === undefined) return 0;
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

export function readMatte(path: URL): Matte {
  const { width, height, channels, data } = readPng(path);
  if (channels !== 1) throw new Error(`${path} is not grey`);
  return { width, height, data: new Uint8Array(data) };
}

export function readColours(path: URL): Colours {
  const { width, height, channels, data } = readPng(path);
  const colours = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 4; c++)
      colours[4 * i + c] = c < channels ? (data[i * channels + c] ?? 0) : 255;
  }
  return { width, height, data: colours };
}
