"""The commit of a checkout, in each of the forms that git keeps it in."""

from pathlib import Path

import pytest

from driver.host import checkout

COMMIT = "8134a9f07cf3d30bfe50250f3f34673e96f3988c"
OTHER = "1c634b1000000000000000000000000000000000"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_branch_has_a_file_of_its_own(tmp_path: Path):
    write(tmp_path / ".git/HEAD", "ref: refs/heads/main\n")
    write(tmp_path / ".git/refs/heads/main", f"{COMMIT}\n")
    assert checkout.read_commit(tmp_path) == COMMIT


def test_a_branch_is_packed(tmp_path: Path):
    write(tmp_path / ".git/HEAD", "ref: refs/heads/main\n")
    write(tmp_path / ".git/packed-refs", f"# pack-refs\n{OTHER} refs/heads/domain\n{COMMIT} refs/heads/main\n")
    assert checkout.read_commit(tmp_path) == COMMIT


def test_no_branch_is_checked_out(tmp_path: Path):
    write(tmp_path / ".git/HEAD", f"{COMMIT}\n")
    assert checkout.read_commit(tmp_path) == COMMIT


def test_a_worktree_has_its_own_head_and_the_branches_of_its_repository(tmp_path: Path):
    folder = tmp_path / "repository/.git/worktrees/page"
    write(tmp_path / "page/.git", f"gitdir: {folder}\n")
    write(folder / "HEAD", "ref: refs/heads/page\n")
    write(folder / "commondir", "../..\n")
    write(tmp_path / "repository/.git/refs/heads/page", f"{COMMIT}\n")
    assert checkout.read_commit(tmp_path / "page") == COMMIT


@pytest.mark.parametrize("head", ["ref: refs/heads/new\n", "no commit\n", ""])
def test_what_names_no_commit_is_none(tmp_path: Path, head: str):
    assert checkout.read_commit(tmp_path) == "", "no checkout"
    write(tmp_path / ".git/HEAD", head)
    assert checkout.read_commit(tmp_path) == ""
