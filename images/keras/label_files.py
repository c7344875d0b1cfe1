"""The names of the files with labels and groups, which the stage `data` writes and others read."""

from shared.data import samples

LABELS_FILE, GROUPS_FILE = "y_{}.npy", f"{samples.GROUP}_{{}}.npy"  # of the split `train` or `test`


def name_labels(output: int | None = None) -> str:
    """The file name, but for the split, of the labels of the evaluated output, or of another one by its number."""
    return LABELS_FILE if output is None else f"y_{{}}_{output}.npy"
