"""The peak memory of what a stage does, measured in a process that does nothing else."""

import json
import subprocess
import sys

PROGRAM = """
import json, os, sys, tempfile
sys.path[:] = json.loads(os.environ["SEARCH"])
from pathlib import Path
from shared.measure.startup import peak
code, *arguments = sys.argv[1:]
with tempfile.TemporaryDirectory() as scratch:
    exec(code, {"arguments": arguments, "scratch": Path(scratch), "Path": Path})
print(peak())
"""


def measure_peak(code: str, *arguments: object) -> int:
    """Return the peak, in bytes, of running `code`, which has `arguments` as texts and `scratch`, an empty folder."""
    environment = {"OMP_NUM_THREADS": "1", "SEARCH": json.dumps(sys.path)}
    command = [sys.executable, "-c", PROGRAM, code, *map(str, arguments)]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return int(printed.splitlines()[-1])
