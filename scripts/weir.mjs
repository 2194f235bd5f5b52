#!/usr/bin/env node
/**
 * `pnpm weir …` in the repository: builds what is stale, then runs the command line in this process. A bin and not a
 * script of package.json: pnpm prints a script's name on stdout, where only the command's own output belongs.
 */
import "./build.mjs";

process.env["INIT_CWD"] && process.chdir(process.env["INIT_CWD"]);
await import("../packages/cli/bin/weir.js");
