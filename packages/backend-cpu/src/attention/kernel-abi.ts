/**
 * What the TypeScript side and the AssemblyScript kernels agree on: byte offsets of the 32-bit fields of the
 * descriptors in the shared memory, and the fixed sizes of a pass.
 * Read by both compilers, so it holds untyped integer constants and nothing else.
 */

/** Tokens per step of the online softmax. Part of the numerics: another value gives other bits. */
export const TILE_TOKENS = 64;
/** Query rows (tokens x heads of one kv head) that a prefill item takes through K and V, where the group is not larger. */
export const ROWS_PER_ITEM = 32;
/** Rows that an item of several kv heads may have; also the least that scratch has room for. */
export const MAX_ROWS = 64;

/** Work counters at the start of the memory, each on a cache line of its own. */
export const CONTROL_NEXT_STORE = 64;
export const CONTROL_STORES_DONE = 128;
export const CONTROL_NEXT_ITEM = 192;
export const CONTROL_BYTES = 256;

/** Layer descriptor, written once. */
export const LAYER_NUM_KV_HEADS = 0;
export const LAYER_GROUP = 4;
export const LAYER_HEAD_DIM = 8;
export const LAYER_V_HEAD_DIM = 12;
/** f32, times log2(e): scores are kept in base 2. */
export const LAYER_SCALE = 16;
/** 0 = unlimited */
export const LAYER_WINDOW = 20;
/** f32, times log2(e); 0 = off */
export const LAYER_SOFTCAP = 24;
/** Pointer to [numHeads] f32, times log2(e); 0 = none */
export const LAYER_SINKS = 28;
/** 0 = no rotary embedding */
export const LAYER_ROTARY_DIM = 32;
export const LAYER_INTERLEAVED = 36;
/** Pointers to [maxModelLen, rotaryDim / 2] f32 */
export const LAYER_COS = 40;
export const LAYER_SIN = 44;
/** Pointers to the staging rows and their strides in bytes */
export const LAYER_QKV = 48;
export const LAYER_QKV_STRIDE = 52;
export const LAYER_OUTPUT = 56;
export const LAYER_OUTPUT_STRIDE = 60;
/** Pointer to block 0, and bytes from block to block */
export const LAYER_CACHE = 64;
export const LAYER_BLOCK_STRIDE = 68;
/** Offsets in a block of the K scales, V and the V scales; K is at 0 */
export const LAYER_K_SCALES = 72;
export const LAYER_V = 76;
export const LAYER_V_SCALES = 80;
export const LAYER_BLOCK_SHIFT = 88;
/** Pointer to the plan that this layer follows */
export const LAYER_PLAN = 92;
export const LAYER_BYTES = 128;

/** Plan descriptor: the work of a step for layers of one head arrangement. */
export const PLAN_NUM_STORES = 0;
export const PLAN_STORES = 4;
export const PLAN_NUM_ITEMS = 8;
export const PLAN_ITEMS = 12;
/** Pointers to [numTokens] i32 */
export const PLAN_POSITIONS = 16;
export const PLAN_SLOTS = 20;
/** Pointer to the first thread's scratch, and bytes per thread */
export const PLAN_SCRATCH = 24;
export const PLAN_SCRATCH_STRIDE = 28;
export const PLAN_BYTES = 64;

/** Item record: consecutive query tokens of one sequence, for some of the heads. */
export const ITEM_FIRST_TOKEN = 0;
export const ITEM_NUM_TOKENS = 4;
/** Position in the sequence of the first query token */
export const ITEM_PAST_LEN = 8;
/** Pointer to the sequence's block table */
export const ITEM_BLOCK_TABLE = 12;
export const ITEM_KV_HEAD = 16;
export const ITEM_NUM_KV_HEADS = 20;
/** First head and number of heads within each kv head's group */
export const ITEM_HEAD = 24;
export const ITEM_NUM_HEADS = 28;
/** 1: the tokens are all of the sequence's new ones, and the item stores k and v of its kv heads itself */
export const ITEM_STORES = 32;
export const ITEM_BYTES = 64;

/** Store record: tokens whose k and v are written in the store phase. */
export const STORE_FIRST_TOKEN = 0;
export const STORE_NUM_TOKENS = 4;
export const STORE_BYTES = 8;

/** Scratch of a thread: fixed part, then per row statistics, scores, queries and sums. */
export const SCRATCH_RUNS = 0;
export const SCRATCH_VECTOR = 1024;
export const SCRATCH_ROWS = 2048;
/** Statistics of a row: running maximum, its last correction, scales of the int8 weights and query */
export const ROW_MAX = 0;
export const ROW_ALPHA = 4;
export const ROW_WEIGHT_SCALE = 8;
export const ROW_QUERY_SCALE = 12;
/** Four partial sums of the weights, f32 */
export const ROW_SUM = 16;
/** Positions of the tile that the row sees, and how many rows from it on go together (1 or 2) */
export const ROW_BEGIN = 32;
export const ROW_END = 36;
export const ROW_STEP = 40;
/** f32 [TILE_TOKENS] scores, which become weights; i16 weights for int8 */
export const ROW_SCORES = 48;
export const ROW_BYTES = 320;
