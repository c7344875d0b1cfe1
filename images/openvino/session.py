"""A model file as a callable, by OpenVINO on the CPU."""

from pathlib import Path

from images.openvino import telemetry_free
from shared.data import examples
from shared.data.samples import Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads

telemetry_free.forbid()
import openvino as ov  # noqa: E402 - after its telemetry is forbidden

FILE, WEIGHTS = "model.xml", "model.bin"
ONNX_FILE = "model.onnx"
PRECISION = "INFERENCE_PRECISION_HINT"
THREADS = "INFERENCE_NUM_THREADS"
PREAMBLE = ("Exception from", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads; OpenVINO itself would take every core of the host."""
    return answering(compiled(read(variant / FILE), thread_count))


def answering(model: ov.CompiledModel) -> Model:
    request, fixed, types = model.create_infer_request(), batch_of(model), types_of(model)

    def answer(batch: Batch) -> Batch:
        given = [array.astype(kind, copy=False) for array, kind in zip(batch, types, strict=True)]
        try:
            found = request.infer(given, share_inputs=True)
        except RuntimeError as error:
            raise CrossquantError(f"OpenVINO can't run the model on {len(batch[0])} samples: {words(error)}") from error
        return tuple(found[output] for output in model.outputs)  # copies

    return in_batches_of(fixed, answer) if fixed else answer


def batch_of(model: ov.Model | ov.CompiledModel) -> int:
    """The only number of samples that the model takes; 0 where it takes any."""
    sizes = [item.partial_shape[0] for item in model.inputs if len(item.partial_shape)]
    return next((size.get_length() for size in sizes if size.is_static), 0)


def types_of(model: ov.Model | ov.CompiledModel) -> list[str]:
    """What each input takes, as NumPy calls it."""
    return [str(item.element_type.to_dtype()) for item in model.inputs]


def read(path: Path) -> ov.Model:
    """CrossquantError, in OpenVINO's words, for a file that it can't read."""
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise CrossquantError(f"OpenVINO can't read {path.name}: {words(error)}") from error
    name_by_place(model)
    return model


def source_of(folder: Path) -> ov.Model:
    """The ONNX file in `folder` as OpenVINO reads it.

    Unsupported, in its words, where it can't read or run the file, and where it answers otherwise than ONNX Runtime.
    """
    try:
        model = read(folder / ONNX_FILE)
        asked = examples.read(folder)
        said = examples.difference(asked, answering(compiled(model, 1))) if asked else ""
    except CrossquantError as error:
        raise Unsupported(str(error)) from error
    if said:
        raise Unsupported(f"OpenVINO answers otherwise than ONNX Runtime: {said}")
    return model


def compiled(model: ov.Model, thread_count: int) -> ov.CompiledModel:
    """In float32: where the CPU has bfloat16, OpenVINO would compute the float model in that, without a word."""
    settings = {
        PRECISION: "f32",
        THREADS: thread_count,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the kernel places the threads, as it does for the other frameworks
        "ENABLE_HYPER_THREADING": True,  # else there is a thread a core, however many were asked for
    }
    try:
        found = ov.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise CrossquantError(f"OpenVINO can't compile the model: {words(error)}") from error
    threads.check("OpenVINO", thread_count, int(found.get_property(THREADS)))
    precision = found.get_property(PRECISION)
    if precision != ov.Type.f32:
        raise CrossquantError(
            f"OpenVINO computes in {precision} instead of float32: timings would be of something else"
        )
    return found


def check_compiles(model: ov.Model) -> ov.CompiledModel:
    """Unsupported, in OpenVINO's words, for a model that a stage made and that it can't run."""
    try:
        return compiled(model, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def save(model: ov.Model, out: Path) -> None:
    """Write `model.xml` and `model.bin`, the weights in the types that they have: the default is float16."""
    name_by_place(model)
    ov.save_model(model, out / FILE, compress_to_fp16=False)


def name_by_place(model: ov.Model) -> None:
    """What has no name of its own gets one: OpenVINO goes by a counter, so that the same model would be other bytes."""
    for number, op in enumerate(model.get_ordered_ops()):
        if op.get_friendly_name() == op.get_name():
            op.set_friendly_name(f"{op.get_type_name()}.{number}")


def words(error: RuntimeError) -> str:
    """The line that says what is wrong; those before it name the places in OpenVINO's source that it came through."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(PREAMBLE)]
    return (told or lines or [type(error).__name__])[0].removeprefix("-- ")
