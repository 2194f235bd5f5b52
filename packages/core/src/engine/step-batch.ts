/**
 * StepBatch: one step's requests and the rows of logits they wait for. Filled by the input builder, read by
 * whoever handles the rows; reused from step to step.
 */
import type { EngineRequest } from "./request.js";

export interface StepBatch {
  /** In the order of the SchedulerOutput. */
  readonly requests: EngineRequest[];
  /** Row of logits per request, -1 where its prompt is not through yet. */
  readonly rows: number[];
}

/** No row. */
export const NO_ROW = -1;
