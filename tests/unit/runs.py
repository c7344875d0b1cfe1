"""Runs for `diff`: their answers, and the folder that is kept of one."""

import numpy as np

from driver.cli import main as command_line
from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, Manifest

LABELS = np.zeros(1000, np.uint8)


def answers(right):
    """Probabilities over two classes; the first `right` images are answered rightly."""
    probabilities = np.zeros((1000, 2), np.float32)
    probabilities[:right, 0] = probabilities[right:, 1] = 1
    return probabilities


def keep(path, arrays):
    """Manifest arrays as an artifact."""
    with store.temporary(path) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        rest = {"inputs": {}, "code": "", "parameters": {}, "versions": {}, "image_id": "", "seconds": 1.0}
        manifest = Manifest(MANIFEST_SCHEMA, path.name, "ok", "", store.list_files(folder), peak_bytes=1, **rest)
        store.publish(folder, path, manifest)
    return manifest


def diff(capsys, *arguments):
    """(exit code, what stderr says)"""
    code = command_line.main(["diff", *map(str, arguments)])
    output = capsys.readouterr()
    assert not output.out or not code, "no figure is printed beside an error"
    return code, output.err
