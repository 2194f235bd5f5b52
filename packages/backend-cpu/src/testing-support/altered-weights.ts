/** A model folder whose weights pass through the test: no locator and no files, so a backend must ask for each byte. */
import type { LoadedModel, WeightSource } from "@weir/core";
import { openModelFolder } from "@weir/core/node";

export interface AlteredModel extends LoadedModel {
  /** Reads so far. */
  readonly reads: () => number;
}

/** @param alter may change bytes of a tensor that were just read from `byteOffset` on */
export async function openAltered(
  folder: string,
  alter: (name: string, byteOffset: number, bytes: Uint8Array) => void = () => {},
): Promise<AlteredModel> {
  const model = await openModelFolder(folder);
  let reads = 0;
  const weights: WeightSource = {
    identity: `${model.weights.identity}-altered-${Math.random()}`,
    tensors: new Map([...model.weights.tensors].map(([name, { file: _, ...tensor }]) => [name, tensor])),
    async read(name, byteOffset, into) {
      reads++;
      await model.weights.read(name, byteOffset, into);
      alter(name, byteOffset, into);
    },
    close: () => model.weights.close(),
  };
  return { ...model, weights, reads: () => reads };
}

/** Writes NaN over rows of an f32 tensor as they come by. */
export function nanRows(tensor: string, rows: readonly number[], rowBytes: number): Parameters<typeof openAltered>[1] {
  return (name, byteOffset, bytes) => {
    if (name !== tensor) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += 4) {
      if (rows.includes(Math.floor((byteOffset + at) / rowBytes))) view.setFloat32(at, NaN, true);
    }
  };
}
