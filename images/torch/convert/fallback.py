"""The graphs to try, one after the other: the one that there is, then, where that won't do, the rewritten one."""

import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

import onnx

from shared.data import examples
from shared.errors import Unsupported

FILE = "model.onnx"
REWRITTEN = "-rewritten"  # after the name of a path: fx-rewritten


@dataclass(frozen=True)
class Source:
    """A folder with the ONNX file, and what was changed in it; nothing in the one that there is."""

    folder: Path
    changes: tuple[str, ...] = ()

    def path(self, way: str) -> str:
        """What `quantized.json` calls it that a variant was made this way."""
        return way + REWRITTEN if self.changes else way


class Made(Protocol):
    """`quantized` of `total` layers are."""

    @property
    def quantized(self) -> int: ...
    @property
    def total(self) -> int: ...


M = TypeVar("M", bound=Made)


@contextmanager
def sources(model: Path) -> Iterator[Iterator[Source]]:
    """The graphs to try. A graph is rewritten when it is asked for, and lives as long as the context."""
    with TemporaryDirectory() as scratch:
        yield each(model, Path(scratch))


def each(model: Path, scratch: Path) -> Iterator[Source]:
    yield Source(model)
    from images.torch.convert.rewriting import rewrite  # noqa: PLC0415 - it brings ONNX's reference, which few models need

    try:
        changed, changes = rewrite(onnx.load(model / FILE))
    except Exception:  # noqa: BLE001 - the refusal of the graph that there is says what is wrong with the model
        traceback.print_exc()
        return
    if changes:
        onnx.save(changed, scratch / FILE)
        if (model / examples.FILE).exists():
            shutil.copyfile(model / examples.FILE, scratch / examples.FILE)
        yield Source(scratch, tuple(changes))


def best(graphs: Iterator[Source], make: Callable[[Source], M]) -> M:
    """The first that has all layers quantized, or else that with most; Unsupported where each is refused."""
    found, refused = [], []
    for source in graphs:
        try:
            found.append(make(source))
        except Unsupported as error:
            refused.append(error)
        else:
            if found[-1].quantized >= found[-1].total:
                break
    if not found:
        raise refused[-1]
    return max(found, key=lambda made: made.quantized / max(made.total, 1))


def record(source: Source, way: str, reason: str = "") -> dict[str, object]:
    """What `quantized.json` and `conversion.json` say of it; `reason` is why the way before was not taken."""
    about: dict[str, object] = {"path": source.path(way)}
    if source.changes:
        about["rewritten"] = list(source.changes)
    return about | ({"reason": reason} if reason else {})
