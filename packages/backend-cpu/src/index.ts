/** Public API of @weir/backend-cpu. */
export { cpuBackend, typescriptAttention, wasmAttention, type CpuBackendOptions } from "./cpu-backend.js";
