// The types of section 4 of the specification, name for name. The service sends more: `Info`,
// `Health` and `Removal` of `./client`.

export interface BackgroundRemovalRequest {
  /** Image file to process */
  image: File;

  /** Apply Gaussian blur to alpha channel edges (default: true) */
  smoothing?: boolean;

  /** Return base64-encoded PNG instead of binary (default: false) */
  return_base64?: boolean;
}

export interface BackgroundRemovalResponse {
  /** Success status */
  success: boolean;

  /** Base64-encoded PNG (if return_base64=true) */
  processed_image?: string;

  /** Processing metadata */
  processing_info: {
    original_size: string; // "1920x1080"
    output_size: string; // "1920x1080"
    background_removed: boolean;
    edge_smoothing_applied: boolean;
    processing_time_ms: number;
    model_version: string;
    tensorrt_enabled: boolean;
  };
}

/** Binary response (default), `Content-Type: image/png`. */
export type BinaryResponse = Blob;

export interface HealthCheckResponse {
  status: "healthy" | "degraded" | "unhealthy";
  service: string;
  version: string;
  model: string;
  device: "cuda" | "cpu";
  tensorrt_enabled: boolean;
  gpu_memory_free_mb: number;

  model_files_status: {
    checkpoint: boolean;
    config: boolean;
    tensorrt_engine: boolean;
  };

  performance_metrics?: {
    avg_latency_ms: number;
    p95_latency_ms: number;
    p99_latency_ms: number;
    requests_last_hour: number;
  };
}
