"""OpenVINO and NNCF without their telemetry.

Importing either starts a thread that sends, and writes below HOME, whatever NNCF_CI says: the network is cut off here,
and a thread may not be there when a stage is forked. Both do without where the package is not to be had.
"""

import sys


def forbid() -> None:
    """To be called before either is imported."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
