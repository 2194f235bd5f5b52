/**
 * Which native sessions a runner's worker holds, in memory that outlives it: [capacity] addresses, 0 = none.
 * The worker writes, its segments' only owner; the caller's thread reads once the worker has ended, and releases what
 * a thread ended from outside could not. A model's sessions hold its weights, so this is worth a ledger.
 */
import { InternalError } from "@weir/core";
import { releaseSession } from "@weir/ort";

export class SessionLedger {
  /** Sent to the worker as it is: shared memory. */
  readonly addresses: BigUint64Array;

  constructor(addresses: BigUint64Array) {
    this.addresses = addresses;
  }

  static create(capacity: number): SessionLedger {
    return new SessionLedger(new BigUint64Array(new SharedArrayBuffer(capacity * BigUint64Array.BYTES_PER_ELEMENT)));
  }

  opened(index: number, address: bigint): void {
    if (index >= this.addresses.length) throw new InternalError(`session ${index} of a ledger for ${this.addresses.length}`);
    Atomics.store(this.addresses, index, address);
  }

  /** Before the session is released: a release cut short leaks, one done twice would crash the process. */
  closing(index: number): void {
    Atomics.store(this.addresses, index, 0n);
  }

  /** On the caller's thread, after the worker's end. @returns how many sessions it had left */
  releaseOrphans(): number {
    let count = 0;
    for (let i = 0; i < this.addresses.length; i++) {
      const address = Atomics.exchange(this.addresses, i, 0n);
      if (address === 0n) continue;
      releaseSession(address);
      count++;
    }
    return count;
  }
}
