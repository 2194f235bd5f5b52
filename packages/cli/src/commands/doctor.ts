/** `weir doctor`: what this machine offers, what each backend found, and what to install. */
import { arch, availableParallelism, freemem, platform, totalmem } from "node:os";
import { createEngine } from "@weir/core";
import { makeBackend } from "../backends.js";
import type { Command } from "../command.js";
import { describeError } from "../errors.js";
import { DEMO_MODEL } from "../model-argument.js";

export const doctor: Command = {
  usage: "weir doctor [--json]",
  about: "What this machine offers and what each backend found; streams a few tokens of the demo model as a test.",
  flags: { json: { kind: "boolean", about: "print an array of { name, ok, detail }" } },
  maxPositionals: 0,
  run: async (flags) => {
    const findings: Finding[] = [];
    const backends = ["cpu", ...EXTRAS].map((name) => () => attempt(name, () => demo(name)));
    for (const look of [node, () => attempt("onnxruntime", runtime), ...backends]) {
      const finding = await look();
      findings.push(finding);
      // One by one: a GPU may take its time for its first kernels.
      if (!flags.boolean("json")) process.stdout.write(`${finding.ok ? "ok  " : "-   "}${finding.name.padEnd(13)}${finding.detail}\n`);
    }
    if (flags.boolean("json")) process.stdout.write(`${JSON.stringify(findings)}\n`);
    // The embedded default must work; the others are extras.
    return findings.some(({ name, ok }) => !ok && !EXTRAS.includes(name)) ? 1 : 0;
  },
};

interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What most machines lack. */
const EXTRAS: readonly string[] = ["cuda", "webgpu"];

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const machine = `${process.version} on ${platform()} ${arch()}, ${availableParallelism()} cores, ${gib(totalmem())} memory, ${gib(freemem())} free`;
  return { name: "node", ok, detail: ok ? machine : `${machine}; install Node 20.19 or newer` };
}

/** Backends load late: a missing native library is a finding, not the end. */
async function attempt(name: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { name, ok: true, detail: await look() };
  } catch (error) {
    return { name, ok: false, detail: describeError(error, []) };
  }
}

async function runtime(): Promise<string> {
  const { detectSaturatingU8S8, loadOrtLibrary, locateLibrary } = await import("@weir/ort");
  const { version } = loadOrtLibrary();
  const int8 = detectSaturatingU8S8() ? "u8 x s8 products saturate here: int8 weights take a slower form" : "int8 at full speed";
  return `${version}, ${int8}; ${locateLibrary()}`;
}

/** The whole way, not only the parts: load, prefill, decode. */
async function demo(name: string): Promise<string> {
  const backend = await makeBackend(name);
  try {
    // Few tokens in all: software GPUs are slow.
    await using engine = await createEngine({ model: DEMO_MODEL, backend, quantize: "auto", maxNumSeqs: 1, maxModelLen: 128 });
    const start = performance.now();
    const { completionTokens } = await engine.generate("ROMEO:", { maxTokens: 64, ignoreEos: true }).usage();
    const rate = completionTokens / ((performance.now() - start) / 1000);
    const { weightSchemes, kvDtypes, notes = [] } = backend.capabilities;
    const offers = `weights ${weightSchemes.join(", ")}; KV ${kvDtypes.join(", ")}`;
    return [`demo model ran at ${rate.toFixed(0)} tok/s in ${engine.info.weightScheme}`, offers, ...notes].join("; ");
  } finally {
    await backend.dispose();
  }
}
