"""One hash of all code that a step's result depends on, so that an edit makes stale what it can change and no more.

It is the hash of the closure of imports of the step's modules, over `shared` and the step's own image, and of the
image's lock and Dockerfile. Imports are read from the source by `ast`, wherever they stand: also in a function. A
module that another one imports by a computed name is declared in that one, at its top level:

    DYNAMIC_IMPORTS = ("images.keras.data.readers.*",)  # names of modules, as fnmatch(3) takes them

The driver computes the hash from the checkout and puts it into the plan; the runner computes it from the files of its
image, and refuses a plan that was made from other code.

What prepares a stage's process and calls it counts for every step (`STAGE_PROCESS`): its environment, its threads and
its arguments could change a result. What decides which steps to run, and tells of them (`RUNNER`), can't change what
a stage computes. An edit there leaves artifacts fresh, but an image that has an earlier version of it is refused.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from shared.artifacts import store
from shared.contract import Step

DECLARATION = "DYNAMIC_IMPORTS"
OURS = ("shared", "images")
STAGE_PROCESS = ("shared.runner.process", "shared.runner.threads")
RUNNER = "shared.stage"
ENVIRONMENT = ("Dockerfile", "requirements.lock")  # of the image's folder
BLOCKS, BRANCHES = ("body", "orelse", "finalbody"), ("handlers", "cases")  # fields of ast's statements
# The lines that an import or the declaration starts, with what their parentheses hold, and what these lines may miss:
# a statement behind another one or behind the colon of its block, and a line that goes on in the next.
RELEVANT_LINES = re.compile(
    rf"^(?:[ \t]*(?:from[ \t]*\S+?[ \t]*)?import\b|{DECLARATION}\b)[^\n()]*(?:\([^()]*\)[^\n]*)?".encode(),
    re.MULTILINE,
)
HIDDEN_LINES = re.compile(rf"[;:][ \t]*(?:from|import|{DECLARATION})\b|\\\r?\n|\r(?!\n)|\f".encode())


@dataclass(frozen=True)
class Imports:
    """The imports of one module: names, of which some may be functions or other projects' modules, relative ones with
    their dots; and the declared patterns.
    """

    names: frozenset[str]
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One file of the checkout by its path there, with the hash of its content."""

    path: str
    sha256: str
    imports: Imports


class CodeHasher:
    """Hashes the code of steps as it is now. Each file is read once, and parsed once in the life of the process."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or store.ROOT
        self._sources: dict[str, Source | None] = {}
        self._direct: dict[str, frozenset[str]] = {}

    def of_step(self, step: Step) -> str:
        """Return the hash of the code that makes the artifact of `step`."""
        modules = self.closure((step.entry, *step.modules.values(), *STAGE_PROCESS))
        environment = [f"{name} {self._hash_file(f'images/{step.image}/{name}')}" for name in ENVIRONMENT]
        call = [step.entry, *(f"{name}={module}" for name, module in sorted(step.modules.items()))]
        return _hash_lines([*call, *environment, *self._describe(modules)])

    def of_runner(self) -> str:
        """Return the hash of the stage runner's own code."""
        return _hash_lines(self._describe(self.closure((RUNNER,))))

    def closure(self, roots: Iterable[str]) -> set[str]:
        """Return the names of all our modules that importing `roots` can import, and of their packages."""
        modules: set[str] = set()
        waiting = [module for root in roots for module in self._existing(root)]
        while waiting:
            name = waiting.pop()
            if name not in modules:
                modules.add(name)
                waiting += self._imported(name)
        return modules

    def _imported(self, name: str) -> frozenset[str]:
        """Return our modules that this one imports itself, with their packages."""
        if name not in self._direct:
            source = self._source(name)
            assert source is not None
            package = name if source.path.endswith("/__init__.py") else name.rpartition(".")[0]
            names = [_absolute(each, package) for each in source.imports.names]
            names += [module for pattern in source.imports.patterns for module in self.match(pattern)]
            self._direct[name] = frozenset(module for each in names for module in self._existing(each))
        return self._direct[name]

    def match(self, pattern: str) -> list[str]:
        """Return the modules whose names match a declared pattern."""
        folder = pattern.partition("*")[0].rpartition(".")[0].replace(".", "/")
        paths = [path.relative_to(self.root).with_suffix("") for path in sorted((self.root / folder).rglob("*.py"))]
        names = [path.as_posix().replace("/", ".").removesuffix(".__init__") for path in paths]
        return [name for name in names if fnmatchcase(name, pattern)]

    def _existing(self, name: str) -> list[str]:
        """Return the module and its packages, which are imported first, as far as they are our files."""
        parts = name.split(".")
        if parts[0] not in OURS:
            return []
        names = (".".join(parts[: count + 1]) for count in range(len(parts)))
        return [each for each in names if self._source(each)]

    def _source(self, name: str) -> Source | None:
        """Return the source of a module; None for a name inside of a module, or a folder without `__init__.py`."""
        if name not in self._sources:
            place = name.replace(".", "/")
            read = (_read_source(self.root, path) for path in (f"{place}.py", f"{place}/__init__.py"))
            self._sources[name] = next((source for source in read if source), None)
        return self._sources[name]

    def _describe(self, modules: Iterable[str]) -> list[str]:
        sources = [source for name in sorted(modules) if (source := self._source(name))]
        return [f"{source.path} {source.sha256}" for source in sources]

    def _hash_file(self, path: str) -> str:
        return hashlib.sha256((self.root / path).read_bytes()).hexdigest() if (self.root / path).exists() else ""


def _read_source(root: Path, path: str) -> Source | None:
    try:
        content = (root / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Source(path, hashlib.sha256(content).hexdigest(), parse_imports(content))


@cache
def parse_imports(content: bytes) -> Imports:
    """Return the imports of a module's source; none if it can't be parsed, since its import fails in the stage.

    A line of a docstring that reads as an import counts as one: the closure may be too large, but never too small.
    """
    tree = _parse_relevant_lines(content) or _parse(content)
    if tree is None:
        return Imports(frozenset())
    names: set[str] = set()
    for node in _iterate_statements(tree.body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.add(module)
            names.update(module + ("" if module.endswith(".") else ".") + alias.name for alias in node.names)
    return Imports(frozenset(names), tuple(pattern for node in tree.body for pattern in _declared(node)))


def _parse_relevant_lines(content: bytes) -> ast.Module | None:
    """Parse the lines with imports alone, a tenth of the time; None where they don't tell all."""
    if HIDDEN_LINES.search(content):
        return None
    return _parse(b"\n".join(match.group().lstrip() for match in RELEVANT_LINES.finditer(content)))


def _parse(content: bytes) -> ast.Module | None:
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError):
        return None


def _iterate_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements and those inside of them, but no expressions: a tenth of the time of `ast.walk`."""
    for statement in body:
        yield statement
        for name in BLOCKS:
            yield from _iterate_statements(getattr(statement, name, ()))
        for name in BRANCHES:
            for branch in getattr(statement, name, ()):
                yield from _iterate_statements(branch.body)


def _declared(node: ast.stmt) -> tuple[str, ...]:
    """Return the patterns of the declaration, none of another statement."""
    if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [DECLARATION]:
        return tuple(ast.literal_eval(node.value))
    return ()


def _absolute(name: str, package: str) -> str:
    """Return the full name of what a module of `package` imports as `name`, which may begin with dots."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - dots + 1], *filter(None, [name[dots:]])])


def _hash_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
