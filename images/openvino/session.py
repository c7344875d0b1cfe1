"""A model file as a callable, by OpenVINO on the CPU."""

from pathlib import Path

from images.openvino import telemetry_free
from shared import threads
from shared.errors import CrossquantError, Unsupported
from shared.images import Floats
from shared.predictions import Model

telemetry_free.forbid()
import openvino as ov  # noqa: E402 - after its telemetry is forbidden

FILE, WEIGHTS = "model.xml", "model.bin"
ONNX_FILE = "model.onnx"
PRECISION = "INFERENCE_PRECISION_HINT"
THREADS = "INFERENCE_NUM_THREADS"


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads; OpenVINO itself would take every core of the host."""
    request = compiled(read(variant / FILE), thread_count).create_infer_request()

    def answer(images: Floats) -> Floats:
        return request.infer([images], share_inputs=True)[0]  # type: ignore[no-any-return] - a copy

    return answer


def read(path: Path) -> ov.Model:
    """CrossquantError, in OpenVINO's words, for a file that it can't read."""
    try:
        return ov.Core().read_model(path)
    except RuntimeError as error:
        raise CrossquantError(f"OpenVINO can't read {path.name}: {words(error)}") from error


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
        raise CrossquantError(f"OpenVINO computes in {precision} instead of float32: timings would be of something else")
    return found


def check_compiles(model: ov.Model) -> ov.CompiledModel:
    """Unsupported, in OpenVINO's words, for a model that a stage made and that it can't run."""
    try:
        return compiled(model, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def save(model: ov.Model, out: Path) -> None:
    """Write `model.xml` and `model.bin`, the weights in the types that they have: the default is float16."""
    ov.save_model(model, out / FILE, compress_to_fp16=False)


def words(error: RuntimeError) -> str:
    """The line that says what is wrong; those before it name the places in OpenVINO's source that it came through."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [type(error).__name__])[0]
