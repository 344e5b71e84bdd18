export {
  BackgroundRemoval,
  BackgroundRemoval as BackgroundRemovalDemo,
  BackgroundRemoval as default,
  type BackgroundRemovalProps,
  type Labels,
} from "./BackgroundRemoval.js";
export { type Removal, RemovalError } from "./client.js";
export type { Problem } from "./problem.js";
export type {
  BackgroundRemovalRequest,
  BackgroundRemovalResponse,
  BinaryResponse,
  HealthCheckResponse,
} from "./specification.js";
export {
  type BackgroundRemovalState,
  type RemovalSettings,
  type RemovalStatus,
  type UseBackgroundRemovalResult,
  useBackgroundRemoval,
} from "./useBackgroundRemoval.js";
export type { ProcessingInfo } from "./words.js";
