/** Where a picture lies on the stage, in CSS pixels. */
export interface Placement {
  /** CSS pixels per pixel of the picture. */
  scale: number;
  /** Of the picture's top left corner on the stage. */
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

const MOST_SCALE = 16;
const STEP = 1.25;

/** The whole picture in the middle of the stage; a small one at most at twice its size. */
export function fit(stage: Size, picture: Size): Placement {
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height, 2);
  return centre(stage, picture, scale);
}

/** The picture at a scale, its middle in the middle of the stage. */
export function centre(stage: Size, picture: Size, scale: number): Placement {
  const x = (stage.width - picture.width * scale) / 2;
  const y = (stage.height - picture.height * scale) / 2;
  return { scale, x, y };
}

/** Scale about a point of the stage that stays where it is. */
export function zoomAt(from: Placement, factor: number, at: { x: number; y: number }): Placement {
  const scale = Math.min(MOST_SCALE, Math.max(0.02, from.scale * factor));
  const ratio = scale / from.scale;
  return { scale, x: at.x - (at.x - from.x) * ratio, y: at.y - (at.y - from.y) * ratio };
}

/** One step in (1) or out (-1), about the middle of the stage. */
export function zoomStep(from: Placement, direction: 1 | -1, stage: Size): Placement {
  return zoomAt(from, STEP ** direction, { x: stage.width / 2, y: stage.height / 2 });
}

/** Move, and keep at least a corner of the picture on the stage. */
export function move(
  from: Placement,
  dx: number,
  dy: number,
  stage: Size,
  picture: Size,
): Placement {
  const keep = 40;
  const clamp = (value: number, extent: number, room: number) =>
    Math.min(room - keep, Math.max(keep - extent, value));
  return {
    scale: from.scale,
    x: clamp(from.x + dx, picture.width * from.scale, stage.width),
    y: clamp(from.y + dy, picture.height * from.scale, stage.height),
  };
}
