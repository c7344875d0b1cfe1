"""YAML as plain data, with the line of every key, so that an error can name it."""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from shared.errors import CrossquantError, FieldError

Lines = dict[tuple[str, ...], int]
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time; wheels have it
DEEPEST, MOST = 50, 100_000  # lists and mappings in one another; keys and values, aliases written out


def load(path: Path) -> tuple[Any, Lines]:
    """The content of `path` and the line (from 1) of each key and list item, by its path."""
    try:
        data, lines = parse(path.read_text(), path)
    except OSError as error:
        raise CrossquantError(f"{path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise CrossquantError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except (LookupError, AttributeError, TypeError) as error:  # what PyYAML makes of `!!bool maybe`
        raise CrossquantError(f"{path} is not YAML: a value is not of its tag's type ({error})") from None
    except (RecursionError, MemoryError):
        raise CrossquantError(f"{path} is too large or too deep for an experiment: write it by hand") from None
    return deepcopy(data), dict(lines)


@lru_cache(maxsize=4)
def parse(text: str, path: Path) -> tuple[Any, Lines]:
    """What `load` returns, from the text of the file `path`. Cached: a command loads one file several times."""
    refuse_bomb(text, path)
    root = yaml.compose(text, LOADER)
    if root is None:
        raise CrossquantError(f"{path} is empty")
    lines: Lines = {}
    walk(root, (), lines, path)
    return LOADER("").construct_document(root), lines


@dataclass
class Size:
    """Of a list or a mapping that is read: keys and values in it, aliases written out, and lists in one another."""

    anchor: str | None = None
    nodes: int = 1
    depth: int = 1

    def add(self, other: "Size") -> None:
        self.nodes, self.depth = self.nodes + other.nodes, max(self.depth, 1 + other.depth)


class Measure:
    """How much a file stands for, as far as it is read: `opened` are the lists and mappings that have not ended."""

    def __init__(self) -> None:
        self.opened = [Size()]
        self.anchors: dict[str | None, Size] = {}

    def see(self, event: yaml.Event) -> None:
        """ValueError for an alias of what it is in."""
        if isinstance(event, yaml.CollectionStartEvent):
            self.opened.append(Size(event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.opened.pop()
            self.opened[-1].add(ended)
            self.anchors[ended.anchor] = ended
        elif isinstance(event, yaml.AliasEvent):
            if any(each.anchor == event.anchor for each in self.opened[1:]):
                raise ValueError("it refers to itself")
            self.opened[-1].add(self.anchors.get(event.anchor, Size(depth=0)))
        elif isinstance(event, yaml.ScalarEvent):
            self.opened[-1].add(Size(depth=0))

    @property
    def depth(self) -> int:
        return len(self.opened) - 2 + self.opened[-1].depth

    @property
    def nodes(self) -> int:
        return sum(each.nodes for each in self.opened)


def refuse_bomb(text: str, path: Path) -> None:
    """CrossquantError with the line where the file is too deep or too large to be read, before anything is made of it.

    A few lines of aliases to one another stand for billions of values. The parser's events come one by one.
    """
    measure = Measure()
    for event in yaml.parse(text, LOADER):
        where = f"{path}:{event.start_mark.line + 1 if event.start_mark else 1}"
        try:
            measure.see(event)
        except ValueError:
            raise CrossquantError(f"{where}: it refers to itself: write out what the alias stands for") from None
        if measure.depth > DEEPEST:
            raise CrossquantError(f"{where}: lists and mappings are more than {DEEPEST} deep: write it flatter")
        if measure.nodes > MOST:
            raise CrossquantError(f"{where}: more than {MOST:,} values, aliases written out: leave some out")


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


def locate_error(path: Path, lines: Lines, error: FieldError) -> CrossquantError:
    """`error` with the file and the line of the field, or of the nearest one around it that is there."""
    at = error.path
    while at not in lines:
        at = at[:-1]
    return CrossquantError(f"{path}:{lines[at]}: {error}")
