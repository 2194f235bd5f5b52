"""ONNX Runtime's GroupQueryAttention beside our kernel: the peer of bench/attention.mjs.

Reads one JSON request per line, {"seqs", "past", "newTokens", "layers", "numHeads", "numKvHeads", "headDim", "kvDtype",
"threads"} to prepare a case or {"measure": true} to time it, and answers with one JSON line. Needs onnxruntime and onnx.
"""
import json
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper


def build(case):
    int8 = case["kvDtype"] == "int8"
    heads, kv_heads, dim = case["numHeads"], case["numKvHeads"], case["headDim"]
    cache = TensorProto.INT8 if int8 else TensorProto.FLOAT
    inputs = [("query", TensorProto.FLOAT), ("key", TensorProto.FLOAT), ("value", TensorProto.FLOAT), ("past_key", cache),
              ("past_value", cache), ("seqlens_k", TensorProto.INT32), ("total", TensorProto.INT32)]
    names = [name for name, _ in inputs]
    attributes = {"num_heads": heads, "kv_num_heads": kv_heads}
    initializers = []
    if int8:
        names += ["", "", "", "", "", "k_scale", "v_scale"]
        attributes |= {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "kv_cache_bit_width": 8}
        initializers = [helper.make_tensor(name, TensorProto.FLOAT, [1], [0.01]) for name in ("k_scale", "v_scale")]
    node = helper.make_node("GroupQueryAttention", names, ["out", "present_key", "present_value"], domain="com.microsoft", **attributes)
    outputs = [("out", TensorProto.FLOAT), ("present_key", cache), ("present_value", cache)]
    graph = helper.make_graph([node], "gqa", [helper.make_tensor_value_info(n, t, None) for n, t in inputs],
                              [helper.make_tensor_value_info(n, t, None) for n, t in outputs], initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = case["threads"]
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def prepare(case):
    """One binding per layer, each with a cache of its own, past and present in one buffer."""
    session = build(case)
    seqs, past, new = case["seqs"], case["past"], case["newTokens"]
    heads, kv_heads, dim = case["numHeads"], case["numKvHeads"], case["headDim"]
    rng = np.random.default_rng(1)
    rows = lambda n: ort.OrtValue.ortvalue_from_numpy(rng.standard_normal((seqs, new, n * dim), dtype=np.float32))
    bindings = []
    for _ in range(case["layers"]):
        binding = session.io_binding()
        for name, n in (("query", heads), ("key", kv_heads), ("value", kv_heads)):
            binding.bind_ortvalue_input(name, rows(n))
        for name in ("key", "value"):
            shape = (seqs, kv_heads, past + new, dim)
            if case["kvDtype"] == "int8":
                cache = ort.OrtValue.ortvalue_from_numpy(rng.integers(-127, 127, shape, dtype=np.int8))
            else:
                cache = ort.OrtValue.ortvalue_from_numpy(rng.standard_normal(shape, dtype=np.float32))
            binding.bind_ortvalue_input(f"past_{name}", cache)
            binding.bind_ortvalue_output(f"present_{name}", cache)
        total = np.array(past + new, np.int32)
        binding.bind_ortvalue_input("seqlens_k", ort.OrtValue.ortvalue_from_numpy(np.full(seqs, past + new - 1, np.int32)))
        binding.bind_ortvalue_input("total", ort.OrtValue.ortvalue_from_numpy(total))
        binding.bind_ortvalue_output("out", ort.OrtValue.ortvalue_from_numpy(np.zeros((seqs, new, heads * dim), np.float32)))
        bindings.append(binding)
    return session, bindings


def measure(session, bindings):
    start = time.perf_counter()
    for binding in bindings:
        session.run_with_iobinding(binding)
    return (time.perf_counter() - start) * 1000 / len(bindings)


state = None
for line in sys.stdin:
    request = json.loads(line)
    if request.get("measure"):
        answer = {"ms": measure(*state)}
    else:
        state = None
        state = prepare(request)
        answer = {"ready": True}
    print(json.dumps(answer), flush=True)
