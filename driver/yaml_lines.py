"""YAML as plain data, with the line of every key, so that an error can name it."""

from pathlib import Path
from typing import Any

import yaml

from shared.errors import CrossquantError, FieldError

Lines = dict[tuple[str, ...], int]


def load(path: Path) -> tuple[Any, Lines]:
    """The content of `path` and the line (from 1) of each key and list item, by its path."""
    try:
        text = path.read_text()
        root, data = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except OSError as error:
        raise CrossquantError(f"{path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise CrossquantError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if root is None:
        raise CrossquantError(f"{path} is empty")
    lines: Lines = {}
    try:
        walk(root, (), lines, path)
    except RecursionError:
        raise CrossquantError(f"{path} refers to itself: write out what the alias stands for") from None
    return data, lines


def walk(node: yaml.Node, at: tuple[str, ...], lines: Lines, path: Path) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            walk(item, (*at, str(number)), lines, path)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child, line = (*at, str(key.value)), key.start_mark.line + 1
            if child in lines:
                raise CrossquantError(f"{path}:{line}: {'.'.join(child)}: this key stands twice")
            lines[child] = line
            walk(value, child, lines, path)


def located(path: Path, lines: Lines, error: FieldError) -> CrossquantError:
    """`error` with the file and the line of the field, or of the nearest one around it that is there."""
    at = error.path
    while at not in lines:
        at = at[:-1]
    return CrossquantError(f"{path}:{lines[at]}: {error}")
