/** StepStages: the parts of a step, wired from EngineParts. The order in which they act is `LLMEngine.#step()`'s. */
import { DefaultSampler } from "../sampling/index.js";
import type { EngineParts } from "./engine-parts.js";
import type { EngineStats } from "./engine-stats.js";
import { InputBuilder } from "./input-builder.js";
import type { LiveRequests } from "./live-requests.js";
import { OutputProcessor } from "./output-processor.js";
import { RowSampler } from "./row-sampler.js";
import { StepReport } from "./step-report.js";

export interface StepStages {
  readonly inputs: InputBuilder;
  readonly rows: RowSampler;
  readonly outputs: OutputProcessor;
  readonly report: StepReport;
}

export function wireStep(parts: EngineParts, live: LiveRequests, stats: EngineStats): StepStages {
  const { runner, backend, sampler, platform } = parts;
  const { spec, limits } = runner;
  const inputs = new InputBuilder({
    limits,
    shared: backend.capabilities.sharedInput ?? false,
    sampleHere: sampler !== undefined || backend.capabilities.sampling === false,
    requestOf: (seqId) => live.ofSequence(seqId),
  });
  const rows = new RowSampler({
    sampler: sampler ?? new DefaultSampler(),
    userSampler: sampler !== undefined,
    vocabSize: spec.vocabSize,
    maxRows: limits.maxNumSeqs,
    stats,
    now: platform.now,
    onFailed: (request, error) => live.fail(request, error),
  });
  const outputs = new OutputProcessor({ live, stats, now: platform.now, sampledHere: rows.rows });
  return { inputs, rows, outputs, report: new StepReport(parts, live, stats) };
}
