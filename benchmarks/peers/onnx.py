"""ONNX Runtime: prediction with the graph optimized, idle threads asleep or spinning, inputs given or bound."""

from functools import partial

from .base import THREADS, Peer


class OnnxRuntime(Peer):
    name = "ONNX Runtime"
    architectures = True

    def version(self):
        import onnx  # noqa: F401  (builds the model)
        import onnxruntime

        return onnxruntime.__version__

    def predict(self, rung):
        spins = ("0", "1") if THREADS > 1 else ("0",)
        return {
            f"{way}{', spinning' if spin == '1' else ''}": partial(build, rung, spin)
            for way, build in (("run", self.run), ("bound arrays", self.bound))
            for spin in spins
        }

    def session(self, rung, spin):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        options.enable_cpu_mem_arena = False  # 5 % faster here, where only the result is allocated
        options.add_session_config_entry("session.intra_op.allow_spinning", spin)
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        return onnxruntime.InferenceSession(model(rung), options, providers=["CPUExecutionProvider"])

    def run(self, rung, spin):
        session, names, x = self.session(rung, spin), ["y"], samples(rung)
        return lambda: session.run(names, {"x": x})[0]

    def bound(self, rung, spin):
        import numpy as np
        from onnxruntime import OrtValue

        session, data = self.session(rung, spin), samples(rung)
        result = np.empty((rung.rows, outputs(rung)), np.float32)
        x, y = OrtValue.ortvalue_from_numpy(data), OrtValue.ortvalue_from_numpy(result)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)

        def call():
            x.update_inplace(data)
            session.run_with_iobinding(binding)
            return y.numpy()

        return call


def outputs(rung):
    return 10 if hasattr(rung, "layers") else rung.sizes[-1]


def samples(rung):
    """The rows as the model takes them: images with the channels first, as they come from PyTorch."""
    import numpy as np

    images = hasattr(rung, "layers") and rung.images
    return np.ascontiguousarray(rung.data.transpose(0, 3, 1, 2)) if images else rung.data


def exported(rung):
    """What PyTorch makes of its module, recurrent layers and normalization as single operators, as ONNX's bytes."""
    import io
    import logging

    import torch

    from .torch_models import module

    logging.disable(logging.WARNING)
    net = torch.nn.Sequential(module(rung), torch.nn.Softmax(1)).eval()
    file = io.BytesIO()
    x = torch.from_numpy(samples(rung))
    torch.onnx.export(net, (x,), file, input_names=["x"], output_names=["y"], dynamo=False, opset_version=17)
    return file.getvalue()


def model(rung):
    """The network as ONNX's bytes."""
    if hasattr(rung, "layers"):
        return exported(rung)
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, value = [], [], "x"
    last = len(rung.weights) - 1
    for i, (weight, bias) in enumerate(rung.weights):
        constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        kind = "Relu" if i < last else "Softmax" if rung.classes else None
        product = f"z{i}" if kind else "y"
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [product]))
        value = f"a{i}" if i < last else "y"
        if kind:
            nodes.append(helper.make_node(kind, [product], [value]))
    graph = helper.make_graph(
        nodes, "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rung.rows, rung.sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rung.rows, rung.sizes[-1]])],
        constants,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()
