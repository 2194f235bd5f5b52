/** Public API of @weir/backend-cuda. */
export { cudaBackend, type CudaBackendOptions } from "./cuda-backend.js";
export { pagedAttention } from "./attention/paged-attention-kernel.js";
