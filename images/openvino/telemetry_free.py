"""Keeps OpenVINO and NNCF from loading their telemetry.

Importing either starts a thread that sends data and writes below HOME, whatever NNCF_CI says. Stages have no network,
and no thread may exist when a stage is forked. Both packages work without the telemetry package.
"""

import sys


def forbid_telemetry() -> None:
    """Block the telemetry package; call it before either package is imported."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
