/**
 * NullKv: a paged "KV cache" whose slots hold token ids and positions instead of keys and values, and the function
 * that stands for the model: next token = hash of the history *as read back through a block table*. A wrong table,
 * slot, position or missing copy changes the token. Used by the null backend and by the block manager's model test.
 */
import { InternalError } from "../errors/index.js";

const EMPTY = -1;
const HASH_START = 0x811c9dc5;

export class NullKv {
  readonly numBlocks: number;
  readonly blockSize: number;
  /** [numBlocks, blockSize] i32 */
  readonly #tokens: Int32Array;
  /** [numBlocks, blockSize] i32 */
  readonly #positions: Int32Array;
  /** [numBlocks] u8, 1 = written at least once */
  readonly #touched: Uint8Array;
  #numTouched = 0;

  constructor(numBlocks: number, blockSize: number) {
    this.numBlocks = numBlocks;
    this.blockSize = blockSize;
    this.#tokens = new Int32Array(numBlocks * blockSize).fill(EMPTY);
    this.#positions = new Int32Array(numBlocks * blockSize).fill(EMPTY);
    this.#touched = new Uint8Array(numBlocks);
  }

  /** Blocks written at least once. */
  get numTouchedBlocks(): number {
    return this.#numTouched;
  }

  store(slot: number, token: number, position: number): void {
    this.#touch(Math.floor(slot / this.blockSize));
    this.#tokens[slot] = token;
    this.#positions[slot] = position;
  }

  /** Goes on with a hash over what slot holds. */
  hashSlot(hash: number, slot: number): number {
    return hashToken(hash, this.#tokens[slot] ?? EMPTY, this.#positions[slot] ?? EMPTY);
  }

  copyBlock(src: number, dst: number): void {
    this.#requireBlock(src);
    this.#touch(dst);
    const { blockSize } = this;
    this.#tokens.copyWithin(dst * blockSize, src * blockSize, (src + 1) * blockSize);
    this.#positions.copyWithin(dst * blockSize, src * blockSize, (src + 1) * blockSize);
  }

  /** The block as [2, blockSize] i32: tokens, positions. */
  readBlock(block: number, into: Int32Array): void {
    this.#requireBlock(block);
    const start = block * this.blockSize;
    into.set(this.#tokens.subarray(start, start + this.blockSize));
    into.set(this.#positions.subarray(start, start + this.blockSize), this.blockSize);
  }

  writeBlock(block: number, from: Int32Array): void {
    this.#touch(block);
    this.#tokens.set(from.subarray(0, this.blockSize), block * this.blockSize);
    this.#positions.set(from.subarray(this.blockSize, 2 * this.blockSize), block * this.blockSize);
  }

  /** The cache was lost. */
  clear(): void {
    this.#tokens.fill(EMPTY);
    this.#positions.fill(EMPTY);
  }

  #touch(block: number): void {
    this.#requireBlock(block);
    if (this.#touched[block] === 0) this.#numTouched++;
    this.#touched[block] = 1;
  }

  #requireBlock(block: number): void {
    if (block >= 0 && block < this.numBlocks) return;
    throw new InternalError(`null backend: KV block ${block} is outside the pool of ${this.numBlocks}`);
  }
}

/** Start value for hashToken. */
export function hashHistory(): number {
  return HASH_START;
}

/** Goes on with a hash over the next token of a history (FNV-1a over 32-bit words, with a rotation). */
export function hashToken(hash: number, token: number, position: number): number {
  const mixed = Math.imul(hash ^ token, 0x01000193);
  return Math.imul(((mixed << 13) | (mixed >>> 19)) ^ position, 0x85ebca6b);
}

/** The token that a history's hash stands for. */
export function tokenOfHash(hash: number, vocabSize: number): number {
  return scramble(hash, 0) % vocabSize;
}

/** A well-mixed unsigned 32-bit number (murmur3's finaliser). */
export function scramble(hash: number, salt: number): number {
  let x = hash ^ Math.imul(salt + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * The oracle: what the null backend samples after the first `numTokens` of `tokenIds`.
 * @param vocabSize that of the backend's `vocabSize` option, or of the spec
 */
export function nullNextToken(tokenIds: ArrayLike<number>, numTokens: number, vocabSize: number): number {
  let hash = hashHistory();
  for (let position = 0; position < numTokens; position++) hash = hashToken(hash, tokenIds[position]!, position);
  return tokenOfHash(hash, vocabSize);
}
