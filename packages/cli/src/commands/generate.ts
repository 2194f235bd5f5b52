/**
 * `weir generate [MODEL] (-p TEXT | --prompt-ids 1,2,3)`: one completion; with --json one JSON object on stdout,
 * without it the text. Greedy and in the stored scheme unless told otherwise, so that results can be compared.
 */
import { NotSupportedError, type GenerateOptions } from "@weir/core";
import type { Command } from "../command.js";
import { ENGINE_FLAGS, ISOLATE_FLAG } from "../engine-flags.js";
import { UsageError, type ParsedFlags } from "../flags.js";
import { collectResult } from "../generate-result.js";
import { PROMPT_FLAG, SAMPLING_FLAGS, samplingOptions } from "../sampling-flags.js";
import { withEngine } from "../with-engine.js";

export const generate: Command = {
  usage: "weir generate [MODEL] (-p TEXT | --prompt-ids 1,2,3) [--json]",
  about: "One completion, greedy and in the stored scheme unless the options say otherwise; with --json as one JSON object.",
  flags: {
    ...PROMPT_FLAG,
    "prompt-ids": { kind: "string", value: "IDS", about: "token ids instead of text, such as 1,2,3" },
    json: { kind: "boolean", about: "print one JSON object" },
    logprobs: { kind: "number", value: "N", about: "with --json: also the N best tokens at each position" },
    "full-logits": { kind: "boolean", about: "with --json: the first position's logits as first_logits" },
    ...SAMPLING_FLAGS,
    ...ENGINE_FLAGS,
    ...ISOLATE_FLAG,
    adapter: { kind: "strings", value: "NAME=PATH", about: "not part of this version" },
    "adapter-name": { kind: "string", value: "NAME", about: "not part of this version" },
  },
  maxPositionals: 1,
  run: async (flags) => {
    refuseAdapters(flags);
    const prompt = promptOf(flags);
    const needs = typeof prompt === "string" ? { needs: "tokenizer" as const } : {};
    return withEngine(flags, { model: flags.positionals[0], ...needs }, async (engine, { tokenizer }) => {
      const promptIds = typeof prompt === "string" ? Array.from(tokenizer!.encode(prompt)) : prompt;
      const result = await collectResult(engine, prompt, promptIds, requestOptions(flags));
      process.stdout.write(flags.boolean("json") ? `${JSON.stringify(result)}\n` : `${result.text}\n`);
      return 0;
    });
  },
};

function refuseAdapters(flags: ParsedFlags): void {
  const given = flags.strings("adapter").length > 0 ? "--adapter" : flags.string("adapter-name") && "--adapter-name";
  if (given) throw new NotSupportedError(`${given} is given, and adapters are not part of this version; leave it out`);
}

function promptOf(flags: ParsedFlags): string | number[] {
  const text = flags.string("prompt");
  const ids = flags.string("prompt-ids");
  if ((text === undefined) === (ids === undefined)) throw new UsageError("give either -p TEXT or --prompt-ids 1,2,3");
  if (ids === undefined) return text!;
  return ids.split(",").map((word) => {
    if (!/^\s*\d{1,10}\s*$/.test(word)) throw new UsageError(`--prompt-ids holds '${word}'; it takes token ids such as 1,2,3`);
    return Number(word);
  });
}

function requestOptions(flags: ParsedFlags): GenerateOptions {
  const fullLogits = flags.boolean("full-logits") ? { fullLogits: true } : {};
  return { ...samplingOptions(flags), logprobs: flags.number("logprobs") ?? 0, ...fullLogits };
}
