/** Quick tests: everything beside the code but `*.deep.test.ts`. Packages resolve to their TypeScript sources. */
import { defineConfig } from "vitest/config";

const conditions = ["@weir/source", "module", "node", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "examples/**/*.test.ts", "bench/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.deep.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two cores: more processes would only wait for each other.
    pool: "forks",
    maxWorkers: 2,
  },
});
