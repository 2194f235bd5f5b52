/** The flags of a request, as run, chat and generate take them, and GenerateOptions made from them. */
import type { GenerateOptions } from "@weir/core";
import type { FlagTable, ParsedFlags } from "./flags.js";

export const PROMPT_FLAG: FlagTable = { prompt: { kind: "string", value: "TEXT", short: "p", about: "what to continue" } };

export const SAMPLING_FLAGS: FlagTable = {
  "max-tokens": { kind: "number", value: "N", about: "new tokens at most" },
  "min-tokens": { kind: "number", value: "N", about: "no stop before this many new tokens" },
  temperature: { kind: "number", value: "T", about: "0 (greedy) to 100" },
  "top-k": { kind: "number", value: "K", about: "keep the K best; 0 is off" },
  "top-p": { kind: "number", value: "P", about: "keep the smallest set with this much probability; 1 is off" },
  "min-p": { kind: "number", value: "P", about: "drop what is less likely than P times the best; 0 is off" },
  "repetition-penalty": { kind: "number", value: "X", about: "above 0 to 10; 1 is off" },
  "presence-penalty": { kind: "number", value: "X", about: "-2 to 2; 0 is off" },
  "frequency-penalty": { kind: "number", value: "X", about: "-2 to 2; 0 is off" },
  seed: { kind: "number", value: "S", about: "same seed, same text; default random" },
  stop: { kind: "strings", value: "TEXT", about: "end before this text; may be given several times" },
  "ignore-eos": { kind: "boolean", about: "go on after the model's end token" },
};

/** Only what was given; the engine checks ranges, with errors that name the option. */
export function samplingOptions(flags: ParsedFlags): GenerateOptions {
  const stop = flags.strings("stop");
  const numbers = {
    maxTokens: flags.number("max-tokens"),
    minTokens: flags.number("min-tokens"),
    temperature: flags.number("temperature"),
    topK: flags.number("top-k"),
    topP: flags.number("top-p"),
    minP: flags.number("min-p"),
    repetitionPenalty: flags.number("repetition-penalty"),
    presencePenalty: flags.number("presence-penalty"),
    frequencyPenalty: flags.number("frequency-penalty"),
    seed: flags.number("seed"),
  };
  return {
    ...(Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)) as GenerateOptions),
    ...(stop.length > 0 ? { stop } : {}),
    ...(flags.boolean("ignore-eos") ? { ignoreEos: true } : {}),
  };
}
