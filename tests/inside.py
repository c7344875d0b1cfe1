"""Run pytest inside an image's environment: `.venvs/onnx/bin/python tests/inside.py tests/images/onnx`.

The images' locks have no pytest. The driver's environment lends it, last in the search path, so that the image's own
packages win; pytest and what it needs are pure Python.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path[0] = str(ROOT)
    sys.path.append(str(ROOT / ".venv" / "lib" / version / "site-packages"))
    import pytest  # noqa: PLC0415 - after the path is set

    # Not as errors, as in pyproject.toml: the frameworks warn of themselves and of each other, at the versions that the
    # image pins.
    return pytest.main(["--quiet", "--strict-markers", "-W", "default", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
