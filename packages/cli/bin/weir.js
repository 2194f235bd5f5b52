#!/usr/bin/env node
import { main } from "../dist/main.js";

// Whoever reads us may leave early, as `weir run | head -1` does: then there is nothing left to do.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}
process.exitCode = await main(process.argv.slice(2));
