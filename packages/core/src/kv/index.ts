export * from "./contiguous-block-manager.js";
export * from "./paged-block-manager.js";
