"""Measurements of the project itself: `python -m benchmarks.NAME`, each with a smallest size, `--small`, that CI runs.

A module that can be run is a benchmark, or a part that one starts in an image's environment.
"""

PARTS = {  # by the benchmark that starts them
    "speed": ("bare_keras", "bare_onnx", "bare_torch"),
    "peers": ("peer_judge",),
    "ordinary": ("brief_efficientnet", "ordinary_judge"),
}
