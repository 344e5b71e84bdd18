// Checked by the compiler alone: the specification's types, as it writes them, are the package's.
import type { FC } from "react";
import type Default from "../src/index.js";
import {
  BackgroundRemoval,
  type BackgroundRemovalDemo,
  type BackgroundRemovalProps,
  type BackgroundRemovalRequest,
  type BackgroundRemovalResponse,
  type BackgroundRemovalState,
  type BinaryResponse,
  type HealthCheckResponse,
  type ProcessingInfo,
  type RemovalSettings,
  type UseBackgroundRemovalResult,
  useBackgroundRemoval,
} from "../src/index.js";
import type { components } from "../src/schema.js";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <T extends true>(..._: T[]): void => undefined;

// Section 7.2.
interface Result {
  processedBlob: Blob | null;
  processing: boolean;
  error: string | null;
  processingTimeMs: number | null;
  removeBackground: (file: File) => Promise<void>;
}
interface Processing {
  original_size: string;
  processing_time_ms: number;
  model_version: string;
}
same<Equal<UseBackgroundRemovalResult, Result>>();
same<Equal<Pick<BackgroundRemovalState, keyof Result>, Result>>();
same<Equal<Pick<ProcessingInfo, keyof Processing>, Processing>>();
same<Equal<typeof BackgroundRemoval, FC<BackgroundRemovalProps>>>();
same<Equal<typeof BackgroundRemovalDemo, typeof BackgroundRemoval>>();
same<Equal<typeof Default, typeof BackgroundRemoval>>();
export const asWritten: () => Result = useBackgroundRemoval;
export const withoutProps: FC = BackgroundRemoval;

// Section 4.
interface Request {
  image: File;
  smoothing?: boolean;
  return_base64?: boolean;
}
interface Response {
  success: boolean;
  processed_image?: string;
  processing_info: {
    original_size: string;
    output_size: string;
    background_removed: boolean;
    edge_smoothing_applied: boolean;
    processing_time_ms: number;
    model_version: string;
    tensorrt_enabled: boolean;
  };
}
interface Health {
  status: "healthy" | "degraded" | "unhealthy";
  service: string;
  version: string;
  model: string;
  device: "cuda" | "cpu";
  tensorrt_enabled: boolean;
  gpu_memory_free_mb: number;
  model_files_status: { checkpoint: boolean; config: boolean; tensorrt_engine: boolean };
  performance_metrics?: {
    avg_latency_ms: number;
    p95_latency_ms: number;
    p99_latency_ms: number;
    requests_last_hour: number;
  };
}
same<Equal<BackgroundRemovalRequest, Request>>();
same<Equal<BackgroundRemovalResponse, Response>>();
same<Equal<HealthCheckResponse, Health>>();
same<Equal<BinaryResponse, Blob>>();

// What the service sends today fits into what the specification promises.
type Sent = components["schemas"];
export const answer = (sent: Sent["RemovalBody"]): BackgroundRemovalResponse => sent;
export const health = (sent: Sent["Health"]): HealthCheckResponse => sent;

// A switch that is not set may be passed on as undefined; what does not exist may not be set.
export const settings: RemovalSettings = { baseUrl: undefined, apiKey: () => undefined };
// @ts-expect-error
export const unknown: RemovalSettings = { smothing: false };
declare const state: BackgroundRemovalState;
// @ts-expect-error
export const sent = () => state.removeBackground("photo.jpg");
