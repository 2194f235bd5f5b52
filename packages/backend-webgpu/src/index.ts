/** Public API of @weir/backend-webgpu. */
export { pagedWgslAttention, webgpuBackend, type WebgpuBackendOptions } from "./webgpu-backend.js";
export type { DeviceOptions } from "./gpu/open-device.js";
