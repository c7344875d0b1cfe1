"""Copies of .keras archives with another configuration: the user's own file isn't changed."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CONFIG = "config.json"


@contextmanager
def rewrite_archive(path: Path, rewrite: Callable[[Any], Any]) -> Iterator[Path]:
    """The .keras file at `path`, or a copy until the context ends, where `rewrite` changes its configuration."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        rewritten = rewrite(config)
        if rewritten == config:
            yield path
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            with zipfile.ZipFile(copy, "w") as target:
                for member in archive.infolist():
                    if member.filename == CONFIG:
                        target.writestr(member, json.dumps(rewritten))
                    else:
                        with archive.open(member) as source, target.open(member, "w") as written:
                            shutil.copyfileobj(source, written)
            yield copy
