/**
 * The dense parts of one model as ONNX sessions in order. Owns the sessions and their runtime; loads them one by
 * one, so that no more than one segment's weights are in memory twice.
 */
import { AbortedError, type LoadProgress } from "@weir/core";
import { SegmentRuntime, SegmentSession, type PreparedModel } from "@weir/ort";
import type { SessionLedger } from "./session-ledger.js";

/**
 * Microseconds that ONNX Runtime's threads look for work before they sleep: long enough to bridge the operators of
 * a segment, short enough to leave the cores to attention (bench/LOG.md, 2026-11-21).
 */
const SPIN_MICROSECONDS = 100;

export class SegmentChain {
  readonly #runtime: SegmentRuntime;
  readonly #sessions: SegmentSession[] = [];
  readonly #ledger: SessionLedger;

  /** @throws BackendUnavailableError where ONNX Runtime cannot be loaded */
  constructor(threads: number, ledger: SessionLedger) {
    this.#ledger = ledger;
    this.#runtime = new SegmentRuntime({ threads, pool: "session", spinning: SPIN_MICROSECONDS });
  }

  get sessions(): readonly SegmentSession[] {
    return this.#sessions;
  }

  /** @throws ModelLoadError, AbortedError between two segments */
  load({ segments, weightBytes }: PreparedModel, context: { onProgress(progress: LoadProgress): void; signal: AbortSignal }): void {
    for (const segment of segments) {
      if (context.signal.aborted) throw new AbortedError("loading the model was aborted");
      const session = new SegmentSession(this.#runtime, segment);
      this.#ledger.opened(this.#sessions.length, session.address);
      this.#sessions.push(session);
      const bytesDone = Math.round((weightBytes * this.#sessions.length) / segments.length);
      context.onProgress({ stage: "compile", bytesDone, bytesTotal: weightBytes });
    }
  }

  /** Idempotent. */
  dispose(): void {
    for (const [index, session] of this.#sessions.splice(0).entries()) {
      this.#ledger.closing(index);
      session.dispose();
    }
    this.#runtime.dispose();
  }
}
