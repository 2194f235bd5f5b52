/** What a run reads or writes: a tensor over the caller's memory (`OrtValue`) or on a device (`DeviceTensor`). */
import type { DeviceTensor } from "./device-memory.js";
import type { OrtValue } from "./ort-value.js";

export type TensorHandle = OrtValue | DeviceTensor;
