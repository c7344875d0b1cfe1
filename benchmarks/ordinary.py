"""What a model loses in 8 bits when it is calibrated on all images, and when on those that are like others.

`python -m benchmarks.ordinary` trains an EfficientNetB0 for 600 steps on CIFAR-10, exports and folds it, quantizes it
U8S8 per channel by min/max, and prints Markdown; three minutes. Exit code 2: something is to be mended first. `--small`
is a network of one convolution, two steps of training, on a few images of the embedded sample.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import small
from driver.engines import venv
from shared.artifacts import store
from shared.command import COMMAND
from shared.errors import CrossquantError

SOURCE = "inputs/cifar10"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ordinary", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tiny network on a few images")
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            measure(Path(temporary), arguments.small)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(folder: Path, tiny: bool) -> None:
    if tiny:
        small.write(folder / "volumes", {})
        source = folder / "volumes" / "inputs" / small.DATA
    else:
        source = store.volumes() / SOURCE
        if not (source / store.MANIFEST).exists():
            raise CrossquantError(f"{source} is missing: run `{COMMAND} fetch` first")
    out = folder / "out"
    out.mkdir()
    part("keras", "brief_efficientnet", source, out, *(["--small"] if tiny else []))
    print(part("onnx", "ordinary_judge", out), end="")


def part(image: str, name: str, *arguments: str | Path) -> str:
    """What a part prints, in the environment of this image. CrossquantError with its last line where it fails."""
    command = [venv.ensure_environment(image, lambda text: print(text, file=sys.stderr)), "-m", f"benchmarks.{name}"]
    done = subprocess.run([*command, *arguments], cwd=store.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise CrossquantError(f"{name}.py ended with {done.returncode}: {lines[-1]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
