/**
 * DefaultSampler: one row of f32 logits to a token id, in this order:
 *   1. logprobs, if asked for: log-softmax of the row as it comes in ("raw", as vLLM's default): bias, penalties,
 *      temperature and truncation do not show in them
 *   2. logit bias, repetition, frequency and presence penalties
 *   3. temperature below 1e-5: the best token; done
 *   4. temperature, top-k, top-p (of what top-k left, renormalised), min-p (against the best token)
 *   5. a draw by counter-based random number (seed, index in the output) over the kept tokens in id order
 * Among equal logits the lower id is the better one. Called by runners (`sampleRows`) and, for rows that went through
 * a user's logits processors, by the engine.
 */
import { InternalError } from "../errors/weir-error.js";
import type { SamplingInput } from "../contracts/model-input.js";
import { ROW_NONFINITE, ROW_OK } from "../contracts/model-output.js";
import type { SampledRows, Sampler } from "../contracts/sampler.js";
import { argmax } from "./argmax.js";
import { CounterRandom } from "./counter-random.js";
import { Draw, type Kept } from "./draw.js";
import { EXP_LIMIT } from "./exp-table.js";
import { LogitEdits } from "./logit-edits.js";
import { fillTopLogprobs, logSumExp } from "./log-softmax.js";
import { Nucleus, nucleusOfList } from "./nucleus.js";
import { applyLogitBias, Penalties } from "./penalties.js";
import { keyId, MAX_RANKED_VOCAB } from "./ranked-keys.js";
import { TopKSelector } from "./top-k.js";

/** Temperatures below this are greedy; f32, as the temperatures it is compared with. */
export const GREEDY_BELOW: number = Math.fround(1e-5);

/**
 * The sampler used unless another is injected. Pure: the same row, parameters and seed give the same token on any
 * thread, row and batch. Allocates nothing per call but scratch that grows: usually under 4 bytes per vocabulary entry,
 * 28 at worst.
 */
export class DefaultSampler implements Sampler {
  readonly name = "default";
  readonly #edits = new LogitEdits();
  readonly #penalties = new Penalties();
  readonly #selector = new TopKSelector();
  readonly #nucleus = new Nucleus();
  readonly #draw = new Draw();
  readonly #random = new CounterRandom();
  readonly #kept: Kept = { max: 0, inverseTemperature: 1, maxBelow: EXP_LIMIT, minLogit: -Infinity, lastTie: 0 };

  /**
   * Chooses the row's token. `logits` is edited while this runs and is as before when it returns.
   * Status ROW_NONFINITE (id -1, logprob NaN) when the row holds NaN or +Infinity, or every token is at -Infinity.
   * @param logits [vocabSize] f32, vocabSize <= 2^21
   */
  sample(logits: Float32Array, params: SamplingInput, row: number, out: SampledRows): void {
    if (logits.length > MAX_RANKED_VOCAB) {
      throw new InternalError(`a row of ${logits.length} logits; the sampler takes up to ${MAX_RANKED_VOCAB}`);
    }
    const numLogprobs = params.numLogprobs[row]!;
    const normalizer = numLogprobs < 0 ? 0 : this.#logprobs(logits, numLogprobs, out, row);
    applyLogitBias(logits, params, row, this.#edits);
    this.#penalties.apply(logits, params, row, this.#edits);
    const id = Number.isNaN(normalizer) ? -1 : this.#choose(logits, params, row);
    this.#edits.undo(logits);
    out.status[row] = id < 0 ? ROW_NONFINITE : ROW_OK;
    out.tokenIds[row] = id;
    out.logprobs[row] = id < 0 || numLogprobs < 0 ? NaN : logits[id]! - normalizer;
  }

  /** Fills the top logprobs and returns the row's normaliser, NaN when it has none. */
  #logprobs(logits: Float32Array, count: number, out: SampledRows, row: number): number {
    const best = argmax(logits);
    if (best < 0) return NaN;
    const normalizer = logSumExp(logits, logits[best]!);
    if (count > 0) fillTopLogprobs(logits, normalizer, count, this.#selector, out, row);
    return normalizer;
  }

  #choose(logits: Float32Array, params: SamplingInput, row: number): number {
    const best = argmax(logits);
    const temperature = params.temperature[row]!;
    if (best < 0 || temperature < GREEDY_BELOW || params.topK[row] === 1) return best;
    this.#truncate(logits, logits[best]!, params, row);
    const u = this.#random.uniform(params.seed[2 * row]!, params.seed[2 * row + 1]!, params.counter[row]!);
    return this.#draw.draw(logits, this.#kept, u);
  }

  /** Sets #kept. */
  #truncate(logits: Float32Array, max: number, params: SamplingInput, row: number): void {
    const inverseTemperature = 1 / params.temperature[row]!;
    const topK = params.topK[row]!;
    const topP = params.topP[row]!;
    const kept = this.#kept;
    kept.max = max;
    kept.inverseTemperature = inverseTemperature;
    // p(id) >= minP * p(best) is exp(-below) >= minP.
    kept.maxBelow = Math.min(EXP_LIMIT, -Math.log(params.minP[row]!));
    let lastKey = -1;
    if (topK > 0 && topK < logits.length) {
      lastKey = this.#lastOfTopK(logits, topK, inverseTemperature, topP);
    } else if (topP < 1) {
      lastKey = this.#nucleus.ofRow(logits, max, inverseTemperature, topP);
    }
    kept.lastTie = lastKey < 0 ? logits.length : keyId(lastKey);
    kept.minLogit = lastKey < 0 ? -Infinity : logits[kept.lastTie]!;
  }

  /** The ranked key of the last token that top-k and then top-p leave. */
  #lastOfTopK(logits: Float32Array, topK: number, inverseTemperature: number, topP: number): number {
    const selector = this.#selector;
    if (topP >= 1) return selector.worstKey(selector.select(logits, topK));
    const count = selector.selectSorted(logits, topK);
    return nucleusOfList(selector.keys, count, logits, inverseTemperature, topP);
  }
}
