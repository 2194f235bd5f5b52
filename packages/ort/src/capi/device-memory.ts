/**
 * Memory of a device: an allocator of a session's execution provider, and tensors that it holds. Nothing here can be
 * read from JavaScript: a run or a copy brings values to the CPU. Made by `DeviceRuntime`.
 */
import { InternalError } from "@weir/core";
import { elementBytes, elementTypes } from "../graph/element-type.js";
import type { ElementName } from "../graph/element-type.js";
import { NativeHandle } from "./handle.js";
import type { OrtLibrary } from "./library.js";
import type { Session } from "./session.js";

const DEVICE_ALLOCATOR = 0;
const MEM_TYPE_DEFAULT = 0;

/** Says where memory lies: "Cuda" or "WebGPU_Buf", and which of several devices. */
export class DeviceMemoryInfo extends NativeHandle {
  constructor(library: OrtLibrary, name: string, deviceId = 0) {
    const pointer = library.out("CreateMemoryInfo", `memory of ${name} ${deviceId}`, name, DEVICE_ALLOCATOR, deviceId, MEM_TYPE_DEFAULT);
    super(library, "memory-info", "ReleaseMemoryInfo", pointer);
  }
}

/** The allocator that `session`'s execution provider has for `memory`. Disposed before the session. */
export class DeviceAllocator extends NativeHandle {
  constructor(session: Session, memory: DeviceMemoryInfo) {
    const { library } = session;
    super(library, "allocator", "ReleaseAllocator", library.out("CreateAllocator", "device allocator", session.pointer, memory.pointer));
  }
}

/** A tensor on a device; its content is undefined until something is written. */
export class DeviceTensor extends NativeHandle {
  readonly type: ElementName;
  readonly shape: readonly number[];
  readonly byteLength: number;

  /** @throws InternalError with ONNX Runtime's reason when the device has no room */
  constructor(allocator: DeviceAllocator, type: ElementName, shape: readonly number[]) {
    const count = shape.reduce((product, dim) => product * dim, 1);
    if (!Number.isSafeInteger(count) || count < 1) throw new InternalError(`a device tensor cannot have shape [${shape.join(", ")}]`);
    const { library } = allocator;
    const dims = BigInt64Array.from(shape, BigInt);
    const what = `device tensor of ${count * elementBytes[type]} bytes`;
    super(
      library,
      "value",
      "ReleaseValue",
      library.out("CreateTensorAsOrtValue", what, allocator.pointer, dims, shape.length, elementTypes[type]),
    );
    this.type = type;
    this.shape = shape;
    this.byteLength = count * elementBytes[type];
  }
}
