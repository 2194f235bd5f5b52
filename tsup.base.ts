/**
 * One transpiled file per source file: dist mirrors src, so that stack traces read well and modules that are
 * named by URL (workers, kernels, weight locators) exist under their own name. Declarations come from `tsc -b`.
 */
import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/**/*.ts", "!src/**/*.test.ts", "!src/**/test-engine.ts", "!src/**/assembly/**", "!src/**/testing-support/**"],
  format: "esm",
  target: "node20",
  bundle: false,
  splitting: false,
  sourcemap: false,
  clean: false,
  silent: true,
});
