/**
 * OrtValue: a tensor over the caller's memory; nothing is copied.
 * In: a typed array over an ArrayBuffer, SharedArrayBuffer or WebAssembly.Memory, and a shape.
 * Out: a handle that keeps the array referenced for as long as it lives. Making one costs about a microsecond.
 */
import { InternalError } from "@weir/core";
import { elementTypes } from "../graph/element-type.js";
import { NativeHandle } from "./handle.js";
import type { OrtLibrary } from "./library.js";
import type { CpuMemoryInfo } from "./memory-info.js";

/** What a tensor may lie over; 16-bit words are the bits of f16. */
export type TensorArray = Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array | Uint16Array;

export class OrtValue extends NativeHandle {
  /** Kept so that the memory outlives the handle. */
  readonly array: TensorArray;
  readonly shape: readonly number[];

  /**
   * @param array must hold at least the shape's elements; must not be detached or grown while the value lives
   * @throws InternalError when the shape does not fit into the array
   */
  constructor(library: OrtLibrary, memory: CpuMemoryInfo, array: TensorArray, shape: readonly number[]) {
    const count = shape.reduce((product, dim) => product * dim, 1);
    if (!Number.isSafeInteger(count) || count < 1 || count > array.length) {
      throw new InternalError(`a tensor of shape [${shape.join(", ")}] does not fit into an array of ${array.length} elements`);
    }
    const dims = BigInt64Array.from(shape, BigInt);
    const pointer = library.out(
      "CreateTensorWithDataAsOrtValue",
      "tensor over a typed array",
      memory.pointer,
      library.address(array),
      count * array.BYTES_PER_ELEMENT,
      dims,
      shape.length,
      elementTypeOf(array),
    );
    super(library, "value", "ReleaseValue", pointer);
    this.array = array;
    this.shape = shape;
  }
}

function elementTypeOf(array: TensorArray): number {
  if (array instanceof Float32Array) return elementTypes.f32;
  if (array instanceof Int32Array) return elementTypes.i32;
  if (array instanceof BigInt64Array) return elementTypes.i64;
  if (array instanceof Uint16Array) return elementTypes.f16;
  return array instanceof Int8Array ? elementTypes.i8 : elementTypes.u8;
}
