/** Opens the model that a command names, makes an engine for it, and puts everything away again. */
import type { Engine, EngineOptions, LoadedModel } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { openEngine } from "./engine-flags.js";
import { UsageError, type ParsedFlags } from "./flags.js";
import { modelArgument } from "./model-argument.js";

export interface EngineUse {
  /** MODEL as given; undefined is the demo model. */
  readonly model: string | undefined;
  /** What the command needs of the text side; refused before any weight is read. */
  readonly needs?: "tokenizer" | "chatTemplate";
  /** Flags win over these. */
  readonly defaults?: (model: LoadedModel) => Partial<EngineOptions>;
}

export async function withEngine(
  flags: ParsedFlags,
  { model: argument, needs, defaults }: EngineUse,
  use: (engine: Engine, model: LoadedModel) => Promise<number>,
): Promise<number> {
  const path = modelArgument(argument);
  const model = await openModelFolder(path);
  try {
    checkTextSide(model, needs);
    const engine = await openEngine(flags, model, path, defaults?.(model));
    try {
      return await use(engine, model);
    } finally {
      await engine.dispose();
    }
  } finally {
    await model.weights.close();
  }
}

function checkTextSide({ name, tokenizer, chatTemplate }: LoadedModel, needs: EngineUse["needs"]): void {
  if (needs !== undefined && !tokenizer) {
    throw new UsageError(`model ${name} has no tokenizer; weir generate takes token ids: --prompt-ids 1,2,3`);
  }
  if (needs === "chatTemplate" && !chatTemplate) throw new UsageError(`model ${name} has no chat template; use weir run`);
}
