"""Bytes from the network, for `fetch` alone: atomic, resumed where the server can, with progress."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driver.inputs.file_content import find_wrong_kind
from shared.errors import CrossquantError

CONNECT_SECONDS, READ_SECONDS = 10, 60
BLOCK = 1 << 18  # bytes
PARTIAL = ".part"  # what the name of a download ends in that is not complete
CA_SECRET = Path("/run/secrets/ca")  # where Compose puts the host's CA bundle; empty if it has none

Report = Callable[[int, int], None]  # bytes so far, bytes in all (0: unknown)


def download_https(url: str, target: Path, report: Report) -> None:
    """Download `url` to `target`. It continues an interrupted download that lies beside it.

    CrossquantError also where what came is a web page, a Git LFS pointer or nothing: `target` is left as it was.
    """
    import requests  # noqa: PLC0415 - it takes longer to import than a command that has nothing to do

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    if partial.exists() and find_wrong_kind(partial):
        partial.unlink()
    try:
        _stream(url, partial, report)
    except requests.RequestException as error:
        raise CrossquantError(f"{url}: {_reason(error)}") from None
    if wrong := find_wrong_kind(partial):
        partial.unlink()
        raise CrossquantError(
            f"{url} answered with {wrong}: correct the address, or log in to this network and run again"
        )
    partial.replace(target)


def _stream(url: str, partial: Path, report: Report) -> None:
    import requests  # noqa: PLC0415 - see above

    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with requests.get(url, headers=headers, stream=True, timeout=timeout, verify=_bundle()) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()
            raise requests.ConnectionError("the download began anew in the middle: run again")
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        done = have if resumed else 0
        total, cut = done + int(answer.headers.get("Content-Length", 0)), False
        with partial.open("ab" if resumed else "wb") as file:
            try:
                for block in answer.iter_content(BLOCK):
                    file.write(block)
                    done += len(block)
                    report(done, total)
            except requests.exceptions.ChunkedEncodingError:  # what came is kept, and told below
                cut = True
        if cut or done < total:
            of_all = f" of {total}" if total > done else ""
            raise requests.ConnectionError(f"only {done}{of_all} bytes came: run again")


def _reason(error: Any) -> str:
    """The reason of a `requests.RequestException`: the answer's status, no connection, or its own text."""
    from urllib3.exceptions import MaxRetryError  # noqa: PLC0415 - with Requests, which takes a tenth of a second

    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    refused = bool(error.args) and isinstance(error.args[0], MaxRetryError)
    return "no connection" if refused else str(error)


def download_npm(package: str, target: Path, report: Report) -> None:
    """Download the tarball of `package` (NAME@VERSION) with the npm client, which checks its integrity."""
    npm = shutil.which("npm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if npm is None:
        raise CrossquantError(f"{package}: no npm client; `make setup` installs one")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".npm-") as folder:
        command = [npm, "pack", package, "--pack-destination", folder, "--cache", f"{folder}/cache"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_npm_environment()
        )
        try:
            while process.poll() is None:
                report(_size(Path(folder)), 0)
                time.sleep(0.2)
        finally:
            process.kill()
            output, _ = process.communicate()
        archives = list(Path(folder).glob("*.tgz"))
        if process.returncode or not archives:
            lines = [line for line in output.splitlines() if "error" in line.lower()]
            raise CrossquantError(f"{package}: npm says: {(lines or ['nothing'])[0][:200]}")
        archives[0].replace(target)


def _npm_environment() -> dict[str, str]:
    bundle = _bundle()
    extra = {"NODE_EXTRA_CA_CERTS": bundle} if isinstance(bundle, str) else {}
    return {**os.environ, "npm_config_update_notifier": "false", **extra}


def _bundle() -> str | bool:
    """The CA bundle that this host asks for, or True for the usual one."""
    if CA_SECRET.exists() and CA_SECRET.stat().st_size:
        return str(CA_SECRET)
    return os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # npm moves its files about
            continue
    return total
