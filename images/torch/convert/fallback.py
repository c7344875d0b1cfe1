"""The graphs to try in turn: first the given one, then, if that fails, the rewritten one."""

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
REWRITTEN_SUFFIX = "-rewritten"  # after the name of a path: fx-rewritten


@dataclass(frozen=True)
class Source:
    """A folder with an ONNX file, and the changes that rewriting made to it; none for the given graph."""

    folder: Path
    changes: tuple[str, ...] = ()

    def method_name(self, method: str) -> str:
        """Return the name in `quantized.json` of quantization by `method` from this source."""
        return method + REWRITTEN_SUFFIX if self.changes else method


class Quantized(Protocol):
    """A result with `quantized` of `total` layers quantized."""

    @property
    def quantized(self) -> int: ...
    @property
    def total(self) -> int: ...


M = TypeVar("M", bound=Quantized)


@contextmanager
def open_sources(model: Path) -> Iterator[Iterator[Source]]:
    """Yield the graphs to try. The second one is rewritten when it is asked for; it exists until the context ends."""
    with TemporaryDirectory() as scratch:
        yield iterate_sources(model, Path(scratch))


def iterate_sources(model: Path, scratch: Path) -> Iterator[Source]:
    yield Source(model)
    from images.torch.convert.rewriting import rewrite_model  # noqa: PLC0415 - imports ONNX's reference, which few need

    try:
        changed, changes = rewrite_model(onnx.load(model / FILE))
    except Exception:  # noqa: BLE001 - the refusal of the given graph tells what is wrong
        traceback.print_exc()
        return
    if changes:
        onnx.save(changed, scratch / FILE)
        if (model / examples.FILE).exists():
            shutil.copyfile(model / examples.FILE, scratch / examples.FILE)
        yield Source(scratch, tuple(changes))


def choose_best(sources: Iterator[Source], make: Callable[[Source], M]) -> M:
    """Return the first result with all layers quantized, or else the one with most. Unsupported if each graph is
    refused.
    """
    results, refusals = [], []
    for source in sources:
        try:
            results.append(make(source))
        except Unsupported as error:
            refusals.append(error)
        else:
            if results[-1].quantized >= results[-1].total:
                break
    if not results:
        raise refusals[-1]
    return max(results, key=lambda result: result.quantized / max(result.total, 1))


def describe_source(source: Source, method: str, reason: str = "") -> dict[str, object]:
    """Return the entries for `quantized.json`; `reason` tells why the method before was not used."""
    entries: dict[str, object] = {"path": source.method_name(method)}
    if source.changes:
        entries["rewritten"] = list(source.changes)
    return entries | ({"reason": reason} if reason else {})
