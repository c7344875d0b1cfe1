"""The code that a step depends on: what it imports, its lock and its Dockerfile, and nothing else."""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from driver.catalog import declarations
from driver.plan import expand
from shared.artifacts import code_hash, store
from shared.artifacts.code_hash import CodeHasher, Imports, parse_imports
from shared.contract import Step

FILES = {
    "shared/__init__.py": "",
    "shared/stage.py": "from shared.runner import process\n",
    "shared/runner/__init__.py": "",
    "shared/runner/process.py": "import os\n",
    "shared/runner/threads.py": "",
    "shared/numbers.py": "from shared import text\n",
    "shared/text.py": "",
    "shared/stages/__init__.py": "",
    "shared/stages/ask.py": "",
    "images/null/write.py": "from images.null.deep import part\n\n\ndef run():\n    from images.null import late\n",
    "images/null/deep/__init__.py": "",
    "images/null/deep/part.py": "import shared.numbers\n",
    "images/null/deep/unused.py": "",
    "images/null/late.py": "DYNAMIC_IMPORTS = ('images.null.forms.*',)\n",
    "images/null/forms/__init__.py": "",
    "images/null/forms/one.py": "from . import __name__\nfrom .two import x\n",
    "images/null/forms/two.py": "",
    "images/null/loader.py": "",
    "images/null/requirements.lock": "numpy==1",
    "images/null/Dockerfile": "FROM null",
    "images/null/stages.toml": "",
    "images/other/write.py": "",
    "driver/plan.py": "",
}
WRITE = Step("made", "null", "write", (), (), {}, True)
ASK = Step("asked", "null", "ask", (), (), {}, True, module="shared.stages.ask", modules={"by": "images.null.loader"})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with some of shared/ and two images."""
    folder = tmp_path / "checkout"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(store, "ROOT", folder)
    return folder


def edit(*names: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text((FILES.get(name, "")) + "# edited\n")

    return change


@pytest.mark.parametrize(
    ("name", "stale"),
    [
        ("images/null/write.py", True),
        ("images/null/deep/part.py", True),
        ("images/null/deep/__init__.py", True),
        ("shared/numbers.py", True),
        ("shared/text.py", True),
        ("shared/__init__.py", True),
        ("images/null/late.py", True),
        ("images/null/forms/one.py", True),
        ("images/null/forms/two.py", True),
        ("images/null/forms/three.py", True),
        ("images/null/requirements.lock", True),
        ("images/null/Dockerfile", True),
        ("shared/runner/process.py", True),
        ("images/null/deep/unused.py", False),
        ("images/null/new.py", False),
        ("images/null/loader.py", False),
        ("images/null/stages.toml", False),
        ("images/null/__pycache__/write.pyc", False),
        ("images/other/write.py", False),
        ("shared/stage.py", False),
        ("shared/stages/ask.py", False),
        ("driver/plan.py", False),
    ],
)
def test_an_edit_makes_stale_what_it_can_change(root: Path, name: str, stale: bool):
    """An import in a function counts, and so do a package's `__init__` and what is imported by a computed name."""
    before = CodeHasher().of_step(WRITE)
    edit(name)(root)
    assert (CodeHasher().of_step(WRITE) != before) is stale


@pytest.mark.parametrize("name", ["shared/stages/ask.py", "shared/stages/__init__.py", "images/null/loader.py"])
def test_a_shared_stage_depends_on_the_modules_that_it_is_given(root: Path, name: str):
    before, other = CodeHasher().of_step(ASK), CodeHasher().of_step(WRITE)
    edit(name)(root)
    assert CodeHasher().of_step(ASK) != before
    assert CodeHasher().of_step(WRITE) == other


def test_the_runner_has_a_hash_of_its_own(root: Path):
    before = CodeHasher().of_runner()
    edit("images/null/write.py", "shared/numbers.py")(root)
    assert CodeHasher().of_runner() == before
    edit("shared/stage.py")(root)
    assert CodeHasher().of_runner() != before


def test_it_does_not_depend_on_where_the_checkout_is(root: Path, tmp_path: Path):
    shutil.copytree(root, tmp_path / "moved")
    assert CodeHasher(tmp_path / "moved").of_step(WRITE) == CodeHasher().of_step(WRITE)


def test_a_module_that_is_renamed_or_gone_changes_it(root: Path):
    before = CodeHasher().of_step(WRITE)
    (root / "images/null/late.py").rename(root / "images/null/later.py")
    assert CodeHasher().of_step(WRITE) != before


def test_what_can_not_be_parsed_is_hashed_all_the_same(root: Path):
    before = CodeHasher().of_step(WRITE)
    (root / "images/null/write.py").write_text("def run(:\n")
    assert CodeHasher().of_step(WRITE) != before


def imports_of_all_nodes(content: bytes) -> Imports:
    """What `parse_imports` returns, from a walk over every node of the tree."""
    tree, names, patterns = ast.parse(content), set(), ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module, *(module + "." * bool(node.module) + alias.name for alias in node.names)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DYNAMIC_IMPORTS":
            patterns = ast.literal_eval(node.value)
    return Imports(frozenset(names), patterns)


@pytest.mark.parametrize(
    "text",
    [
        "import a\nimport b.c as d, e\n",
        "from a import b\nfrom . import c\nfrom ..d import e\nfrom .import f\nfrom  g  import  h\n",
        "from a import (  # why (\n    b,  # because)\n    c,\n)\n",
        "from a import \\\n    b\nfrom \\\n    c import d\n",
        "if x: import a\nb = 1; import c\n",
        "class A:\n    def f(self):\n        try:\n            import a\n        except ImportError: from b import c\n",
        '"""Take the first sentence\nfrom the middle, and\nimport the rest (of it\nfrom here."""\nimport a\n',
        "def f():\n    x = 1\n    yield from g(x)\n    raise A from b\n",
        "DYNAMIC_IMPORTS = ('a.*', 'b')\nimport c\n",
        "DYNAMIC_IMPORTS = (\n    'a.*',  # (all)\n    'b',\n)\nfrom a import (b, c); import d\n",
        "from.a import b\nfrom é.ü import c\nfrom ..import d\n",
        "if x:\n\timport a\n\tfrom b import*\n",
        "x = 1\n\fimport a\r\nimport b\r\n",
        "match x:\n    case 1:\n        import a\n    case _:\n        with y: import b\n",
        "try: import a\nexcept* E: import b\nelse: import c\nfinally: import d\n",
        "async def f():\n    async for x in y: import a\n    else: import b\n    while x: import c\n",
    ],
)
def test_every_statement_that_imports_is_found(text: str):
    assert parse_imports(text.encode()) == imports_of_all_nodes(text.encode())


@pytest.mark.parametrize("part", ["shared", "images"])
def test_the_imports_of_every_file_of_ours_are_seen(part: str):
    for path in sorted((store.ROOT / part).rglob("*.py")):
        assert parse_imports(path.read_bytes()) == imports_of_all_nodes(path.read_bytes()), path


# of the checkout itself


@pytest.fixture(scope="module")
def steps() -> dict[str, Step]:
    """A step of every stage, by image and run."""
    catalog = declarations.load(declarations.list_optional())
    return {
        f"{image}.{stage.run}": expand.make_step(stage, image, stage.output, {})
        for image, stages in catalog.items()
        for stage in stages
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of shared/ and images/."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("shared", "images"):
        shutil.copytree(code_hash.store.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("name", "stale", "fresh"),
    [
        (
            "shared/sensitivity/layer_errors.py",
            {"onnx.explain", "torch.explain"},
            {"onnx.quantize", "torch.quantize", "onnx.predict", "onnx.latency", "litert.quantize"},
        ),
        ("shared/tasks.py", {"onnx.explain", "onnx.accuracy_aware", "onnx.latency"}, {"onnx.quantize", "onnx.predict"}),
        (
            "images/keras/data/readers/table.py",
            {"keras.data"},
            {"keras.load", "keras.predict", "keras.labels", "onnx.quantize"},
        ),
        ("images/torch/runtime/aot.py", {"torch.predict", "torch.latency", "torch.emulate"}, {"onnx.predict"}),
        (
            "images/onnx/session.py",
            {"onnx.predict", "onnx.startup", "onnx.emulate"},
            {"torch.predict", "keras.predict"},
        ),
        ("shared/emulation/guest.py", {"onnx.emulate", "torch.emulate"}, {"onnx.predict", "onnx.startup"}),
        ("shared/artifacts/freshness.py", set(), {"onnx.quantize", "keras.data"}),
    ],
)
def test_an_edit_of_a_docstring_of_ours(steps, checkout, name, stale, fresh):
    before = {key: CodeHasher(checkout).of_step(steps[key]) for key in stale | fresh}
    path = checkout / name
    text = path.read_text()
    assert text.startswith('"""')
    path.write_text(text.replace('"""', '"""Edited. ', 1))
    try:
        hasher = CodeHasher(checkout)
        assert {key for key in before if hasher.of_step(steps[key]) != before[key]} == stale
    finally:
        path.write_text(text)
