"""Runs models with OpenVINO on the CPU."""

from pathlib import Path

from images.openvino import telemetry_free
from shared.data import examples
from shared.data.samples import Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.quantization import already
from shared.runner import threads

telemetry_free.forbid_telemetry()
import openvino as ov  # noqa: E402 - after its telemetry is forbidden

FILE, WEIGHTS = "model.xml", "model.bin"
ONNX_FILE = "model.onnx"
PRECISION = "INFERENCE_PRECISION_HINT"
THREADS = "INFERENCE_NUM_THREADS"
# What precedes the reason in OpenVINO's messages, as version 2026.4.1 prints them.
PREAMBLE = ("Exception from", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")


def load(variant: Path, thread_count: int) -> Model:
    """Load the model in `variant` on `thread_count` threads; OpenVINO's default is every core of the host."""
    return wrap_compiled(compile_model(read_model(variant / FILE), thread_count))


def wrap_compiled(model: ov.CompiledModel) -> Model:
    """Wrap a compiled model as a callable from arrays to arrays, for any number of samples."""
    request, batch_size, types = model.create_infer_request(), fixed_batch_size(model), input_types(model)

    def answer(batch: Batch) -> Batch:
        arrays = [array.astype(kind, copy=False) for array, kind in zip(batch, types, strict=True)]
        try:
            outputs = request.infer(arrays, share_inputs=True)
        except RuntimeError as error:
            raise CrossquantError(
                f"OpenVINO can't run the model on {len(batch[0])} samples: {find_reason(error)}"
            ) from error
        return tuple(outputs[output] for output in model.outputs)  # copies

    return in_batches_of(batch_size, answer) if batch_size else answer


def fixed_batch_size(model: ov.Model | ov.CompiledModel) -> int:
    """Return the model's fixed batch size, or 0 if it takes any number of samples."""
    sizes = [item.partial_shape[0] for item in model.inputs if len(item.partial_shape)]
    return next((size.get_length() for size in sizes if size.is_static), 0)


def input_types(model: ov.Model | ov.CompiledModel) -> list[str]:
    """Return the NumPy name of each input's type."""
    return [str(item.element_type.to_dtype()) for item in model.inputs]


def read_model(path: Path) -> ov.Model:
    """Read a model. CrossquantError, with OpenVINO's message, if it can't be read."""
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise CrossquantError(f"OpenVINO can't read {path.name}: {find_reason(error)}") from error
    name_by_position(model)
    return model


def read_source(folder: Path) -> ov.Model:
    """Read the ONNX file in `folder`.

    Unsupported, with OpenVINO's message, if it can't read or run the file, or if its answers differ from ONNX
    Runtime's.
    """
    try:
        model = read_model(folder / ONNX_FILE)
        example = examples.read(folder)
        tolerance = already.TOLERANCE if already.is_quantized(folder) else examples.TOLERANCE
        compiled = wrap_compiled(compile_model(model, 1))
        difference = examples.difference(example, compiled, tolerance) if example else ""
    except CrossquantError as error:
        raise Unsupported(str(error)) from error
    if difference:
        raise Unsupported(f"OpenVINO gives other answers than ONNX Runtime: {difference}")
    return model


def compile_model(model: ov.Model, thread_count: int) -> ov.CompiledModel:
    """Compile the model for float32: on a CPU with bfloat16, OpenVINO would otherwise use that without a message.

    CrossquantError if it can't be compiled, or with other threads or another precision.
    """
    settings = {
        PRECISION: "f32",
        THREADS: thread_count,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the kernel places the threads, as it does for the other frameworks
        "ENABLE_HYPER_THREADING": True,  # otherwise there is one thread per core, whatever the number of threads
    }
    try:
        compiled_model = ov.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise CrossquantError(f"OpenVINO can't compile the model: {find_reason(error)}") from error
    threads.check("OpenVINO", thread_count, int(compiled_model.get_property(THREADS)))
    precision = compiled_model.get_property(PRECISION)
    if precision != ov.Type.f32:
        raise CrossquantError(f"OpenVINO computes in {precision} instead of float32: its timings couldn't be compared")
    return compiled_model


def check_compiles(model: ov.Model) -> ov.CompiledModel:
    """Compile a model that a stage made. Unsupported, with OpenVINO's message, if it can't be."""
    try:
        return compile_model(model, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def save_model(model: ov.Model, out: Path) -> None:
    """Write `model.xml` and `model.bin`, with the weights in their own types: OpenVINO's default is float16."""
    name_by_position(model)
    ov.save_model(model, out / FILE, compress_to_fp16=False)


def name_by_position(model: ov.Model) -> None:
    """Name unnamed operators by their position: OpenVINO's names have a counter, which would change the
    file's bytes.
    """
    for number, op in enumerate(model.get_ordered_ops()):
        if op.get_friendly_name() == op.get_name():
            op.set_friendly_name(f"{op.get_type_name()}.{number}")


def find_reason(error: RuntimeError) -> str:
    """Return the line of the message that tells the reason; the lines before it name places in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(PREAMBLE)]
    return (reasons or lines or [type(error).__name__])[0].removeprefix("-- ")
