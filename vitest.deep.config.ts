/** What takes longer: long property runs, fuzzing, killed processes, software GPUs. Same resolution as the quick tests. */
import { defineConfig, mergeConfig } from "vitest/config";
import quick from "./vitest.config.js";

const deep = mergeConfig(quick, defineConfig({ test: { testTimeout: 600_000, hookTimeout: 600_000 } }));
deep.test!.include = ["packages/*/src/**/*.deep.test.ts"];
deep.test!.exclude = ["**/node_modules/**", "**/dist/**"];

export default deep;
