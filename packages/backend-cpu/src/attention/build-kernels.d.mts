/** Compiles the kernels whose outputs are older than their sources. */
export function buildKernels(): Promise<void>;
