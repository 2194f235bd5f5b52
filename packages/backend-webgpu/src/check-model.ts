/** What this backend does not run is refused here, by name, before a device is opened or a byte read. */
import {
  checkTensors,
  InvalidOptionsError,
  NotSupportedError,
  type BackendCapabilities,
  type LayerSpec,
  type LinearSpec,
  type LoadModelOptions,
  type ModelSpec,
  type NormSpec,
  type WeightSource,
} from "@weir/core";

/** @throws InvalidOptionsError, NotSupportedError, ModelLoadError */
export function checkModel(spec: ModelSpec, weights: WeightSource, options: LoadModelOptions, capabilities: BackendCapabilities): void {
  checkOptions(spec, options, capabilities);
  checkNorm("the final norm", spec.finalNorm);
  if (spec.head.softcap !== undefined) refuse("softcap of the head");
  checkLinear(spec.head.linear);
  spec.layers.forEach(checkLayer);
  // Tensors beyond those that are needed are the opener's business.
  checkTensors(spec, weights.tensors, /^/);
}

function checkOptions(
  spec: ModelSpec,
  options: LoadModelOptions,
  { blockSizes, kvDtypes, weightSchemes, maxBatchedTokens }: BackendCapabilities,
): void {
  const { limits, kvDtype, weightScheme, quantizer, attentionKernel } = options;
  if (!weightSchemes.includes(weightScheme)) fail("weightScheme", weightScheme, weightSchemes.join(", "));
  if (!kvDtypes.includes(kvDtype)) fail("kvDtype", kvDtype, kvDtypes.join(", "));
  if (!blockSizes.includes(limits.blockSize)) fail("blockSize", limits.blockSize, blockSizes.join(", "));
  if (limits.maxNumBatchedTokens > maxBatchedTokens!)
    fail("maxNumBatchedTokens", limits.maxNumBatchedTokens, `at most ${maxBatchedTokens}`);
  if (limits.maxModelLen > spec.maxPositions) fail("maxModelLen", limits.maxModelLen, `at most the model's ${spec.maxPositions} positions`);
  if (quantizer) fail("quantizer", quantizer.algorithm, "none: weights are kept in f32");
  if (attentionKernel && attentionKernel.backend !== "webgpu") {
    throw new InvalidOptionsError(
      `attention kernel '${attentionKernel.name}' is for the ${attentionKernel.backend} backend; the webgpu backend takes one with backend 'webgpu'`,
    );
  }
}

function checkLayer({ attentionNorm, attention, mlpNorm, mlp }: LayerSpec): void {
  checkNorm("the norm before attention", attentionNorm);
  checkNorm("the norm before the MLP", mlpNorm);
  if (!attention.causal) refuse("attention that is not causal");
  if (attention.sinks !== undefined) refuse("attention sinks");
  if (attention.qNorm || attention.kNorm) refuse("norms of q and k");
  if (mlp.kind !== "gated" || !mlp.gate) refuse(`MLPs of kind ${mlp.kind}`);
  if (mlp.activation !== "silu") refuse(`the activation ${mlp.activation}`);
  for (const linear of [attention.q, attention.k, attention.v, attention.o, mlp.gate!, mlp.up, mlp.down]) checkLinear(linear);
}

function checkNorm(what: string, { kind, bias }: NormSpec): void {
  if (kind !== "rms") refuse(`${kind} norms (${what})`);
  if (bias !== undefined) refuse(`a bias in ${what}`);
}

function checkLinear({ weight, transposed }: LinearSpec): void {
  if (transposed) refuse(`weights stored transposed (${weight})`);
}

function refuse(what: string): never {
  throw new NotSupportedError(`the webgpu backend does not run ${what}, which this model asks for; use backend cpu or reference`);
}

function fail(name: string, value: string | number, limit: string): never {
  throw new InvalidOptionsError(`${name} is ${value}; the webgpu backend takes ${limit}`);
}
