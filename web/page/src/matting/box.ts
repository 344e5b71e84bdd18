/**
 * The mean over a window of so many values on each side, of every channel, in place; beyond the
 * border the nearest pixel repeats. Running sums: the time does not grow with the window.
 */
export function boxBlur(
  data: Float32Array,
  width: number,
  height: number,
  channels: number,
  reachX: number,
  reachY: number,
): void {
  const across = new Float32Array(data.length);
  blurRows(data, across, width, channels, reachX);
  blurColumns(across, data, width * channels, height, reachY);
}

function blurRows(
  data: Float32Array,
  blurred: Float32Array,
  width: number,
  channels: number,
  reach: number,
): void {
  const share = 1 / (2 * reach + 1);
  const last = (width - 1) * channels;
  const far = reach * channels;
  for (let row = 0; row < data.length; row += width * channels) {
    for (let c = row; c < row + channels; c++) {
      let total = (reach + 1) * data[c]!;
      for (let k = channels; k <= far; k += channels) total += data[c + Math.min(k, last)]!;
      for (let i = 0; i <= last; i += channels) {
        blurred[c + i] = total * share;
        total += data[c + Math.min(i + far + channels, last)]! - data[c + Math.max(i - far, 0)]!;
      }
    }
  }
}

function blurColumns(
  data: Float32Array,
  blurred: Float32Array,
  stride: number,
  height: number,
  reach: number,
): void {
  const share = 1 / (2 * reach + 1);
  const row = (y: number) => Math.min(height - 1, Math.max(0, y)) * stride;
  const totals = new Float64Array(stride);
  for (let k = -reach; k <= reach; k++) {
    const first = row(k);
    for (let i = 0; i < stride; i++) totals[i]! += data[first + i]!;
  }
  for (let y = 0; y < height; y++) {
    const [here, enters, leaves] = [y * stride, row(y + reach + 1), row(y - reach)];
    for (let i = 0; i < stride; i++) {
      blurred[here + i] = totals[i]! * share;
      totals[i]! += data[enters + i]! - data[leaves + i]!;
    }
  }
}
