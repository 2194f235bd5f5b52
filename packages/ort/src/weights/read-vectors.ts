/** Norm weights and biases, which go into the graphs themselves. In: spec and reader. Out: f32 by tensor name. */
import type { LinearSpec, ModelSpec, NormSpec } from "@weir/core";
import { allGroups, linearGroups } from "./linear-groups.js";
import type { WeightReader } from "./weight-reader.js";

export async function readVectors(spec: ModelSpec, reader: WeightReader): Promise<Map<string, Float32Array>> {
  const vectors = new Map<string, Float32Array>();
  for (const name of vectorNames(spec)) {
    const [size] = reader.info(name).shape;
    vectors.set(name, await reader.elements(name, 0, size!));
  }
  return vectors;
}

function vectorNames(spec: ModelSpec): Set<string> {
  const norms: NormSpec[] = [spec.finalNorm];
  for (const { attentionNorm, attention, mlpNorm } of spec.layers) {
    norms.push(attentionNorm, mlpNorm, ...[attention.qNorm, attention.kNorm].filter((norm) => norm !== undefined));
  }
  const linears: LinearSpec[] = allGroups(linearGroups(spec)).flatMap((group) => group.parts);
  const names = [...norms.flatMap((norm) => [norm.weight, norm.bias]), ...linears.map((linear) => linear.bias)];
  return new Set(names.filter((name) => name !== undefined));
}
