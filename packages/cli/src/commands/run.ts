/** `weir run [MODEL] -p TEXT`: streams a completion to stdout; timings and what was chosen go to stderr. */
import type { Engine, GenerateOptions, LoadedModel } from "@weir/core";
import type { Command } from "../command.js";
import { ENGINE_FLAGS, ISOLATE_FLAG } from "../engine-flags.js";
import type { ParsedFlags } from "../flags.js";
import { PROMPT_FLAG, SAMPLING_FLAGS, samplingOptions } from "../sampling-flags.js";
import { describeEngine, describeRun } from "../summary.js";
import { withEngine } from "../with-engine.js";

export const run: Command = {
  usage: "weir run [MODEL] [-p TEXT]",
  about:
    "Streams a completion to stdout; what was chosen, and timings at the end, to stderr. Sampled (temperature 0.8,\n" +
    "top-p 0.95, 160 tokens) unless the model or the options say otherwise; weights in the backend's best scheme.",
  flags: { ...PROMPT_FLAG, ...SAMPLING_FLAGS, ...ENGINE_FLAGS, ...ISOLATE_FLAG },
  maxPositionals: 1,
  run: (flags) =>
    withEngine(
      flags,
      { model: flags.positionals[0], needs: "tokenizer", defaults: () => ({ quantize: "auto" }) },
      async (engine, model) => {
        const prompt = flags.string("prompt") ?? DEMO_PROMPT;
        return stream(engine, prompt, requestOptions(flags, engine, model, prompt));
      },
    ),
};

const DEMO_PROMPT = "ROMEO:\n";
const DEFAULT_MAX_TOKENS = 160;

async function stream(engine: Engine, prompt: string, options: GenerateOptions): Promise<number> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  // Once: a second Ctrl-C ends the program the hard way.
  process.once("SIGINT", stop);
  try {
    for await (const event of engine.generate(prompt, { ...options, signal: abort.signal })) {
      if (event.type === "request-queued") begin(engine, prompt);
      if (event.type === "token" || event.type === "request-end") process.stdout.write(event.text);
      if (event.type === "request-end") finish(describeRun(event));
    }
    return 0;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    finish("stopped");
    return 130;
  } finally {
    process.removeListener("SIGINT", stop);
  }
}

/** Not before the request was accepted: a refusal is one line. */
function begin(engine: Engine, prompt: string): void {
  process.stderr.write(`${describeEngine(engine)}\n`);
  process.stdout.write(prompt);
}

function finish(summary: string): void {
  process.stdout.write("\n");
  process.stderr.write(`\n${summary}\n`);
}

/** A completion reads better sampled; `generate` stays greedy. */
function requestOptions(flags: ParsedFlags, engine: Engine, model: LoadedModel, prompt: string): GenerateOptions {
  const { maxTokens = DEFAULT_MAX_TOKENS, ...modelOptions } = model.generationConfig ?? {};
  const room = engine.info.limits.maxModelLen - model.tokenizer!.encode(prompt).length;
  // A prompt that fills the context is the engine's to refuse.
  const fitting = room < 1 ? maxTokens : Math.min(maxTokens, room);
  return { temperature: 0.8, topP: 0.95, ...modelOptions, maxTokens: fitting, ...samplingOptions(flags) };
}
