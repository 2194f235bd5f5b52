export * from "./weir-error.js";
export * from "./wire-error.js";
