/** Runs a script against the built package in a fresh process: for what only one process at a time can show. For tests. */
import { builtModule } from "@weir/core";
import { spawn } from "node:child_process";

export interface ScriptResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param script ES module; `ort` and `testing` are the package and its test models, `require` resolves as in it
 */
export function runScript(
  script: string,
  options: { readonly nodeFlags?: readonly string[]; readonly args?: readonly string[] } = {},
): Promise<ScriptResult> {
  const at = (module: string): string => JSON.stringify(new URL(module, builtModule(import.meta.url)).href);
  const prelude = `
    import { createRequire } from "node:module";
    const require = createRequire(${at("../index.js")});
    const load = async () => ({
      ort: await import(${at("../index.js")}),
      testing: { ...await import(${at("./tiny-model.js")}), ...await import(${at("./rtn-quantizer.js")}) },
    });
    const args = ${JSON.stringify(options.args ?? [])};
  `;
  const flags = [...(options.nodeFlags ?? []), "--input-type=module", "-e", prelude + script];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...output }));
  });
}
