"""What is the project's own, and what may therefore run without a sandbox where there is none."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from driver.catalog import declarations
from driver.cli import workflow
from driver.engines import bubblewrap
from driver.engines.bubblewrap import Trial
from driver.engines.venv import VenvEngine
from driver.experiment import loader
from driver.experiment.model import Experiment, Model, Source
from driver.inputs import user_files
from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, File, Manifest
from shared.errors import CrossquantError

SHIPPED = sorted(loader.FOLDER.glob("*.yaml"))
OTHER = "0" * 64


def load(path: Path) -> Experiment:
    return loader.load(path, declarations.load())


def read_manifest(*sums: str) -> Manifest:
    files = {f"{number}.keras": File(each, 1) for number, each in enumerate(sums)}
    return Manifest(MANIFEST_SCHEMA, "model", "ok", "", files, {}, "", {}, {}, "", 0.0, 0)


def model_sum(chosen: Experiment) -> str:
    """Of the file that an experiment means: what it says, or that of the file in the checkout."""
    return chosen.model.sha256 or store.file_sha256(store.ROOT / chosen.model.sources[0].path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_all_that_ships_is_the_projects_own(path: Path) -> None:
    chosen = load(path)
    assert loader.is_own(chosen, read_manifest(model_sum(chosen)))


def test_every_sum_is_of_something_that_ships() -> None:
    shipped = [load(path) for path in SHIPPED]
    assert set(loader.read_own_sums().models.values()) == {model_sum(chosen) for chosen in shipped}
    assert all(chosen.dataset.sha256 in loader.read_own_sums().datasets.values() for chosen in shipped)


@pytest.fixture
def ours() -> tuple[Experiment, str]:
    chosen = load(loader.FOLDER / "resnet8-cifar10.yaml")
    return chosen, model_sum(chosen)


def test_anything_else_is_not(ours: tuple[Experiment, str]) -> None:
    chosen, digest = ours
    assert not loader.is_own(chosen, None), "nothing was fetched"
    assert not loader.is_own(chosen, read_manifest())
    assert not loader.is_own(chosen, read_manifest(OTHER))
    assert not loader.is_own(chosen, read_manifest(digest, OTHER)), "code lies beside the model"
    pinned = replace(chosen, model=replace(chosen.model, sha256=OTHER))
    assert not loader.is_own(pinned, read_manifest(OTHER)), "a sum in the user's experiment is the user's word"


def test_data_of_ones_own_are_not_whatever_the_model(ours: tuple[Experiment, str]) -> None:
    chosen, digest = ours
    foreign = {
        "section": replace(chosen, options={"data": {"kind": "npz"}}),
        "other sums": replace(chosen, dataset=replace(chosen.dataset, sha256={"x_train": OTHER})),
        "no sums": replace(chosen, dataset=replace(chosen.dataset, sha256={})),
        "fewer sums": replace(
            chosen, dataset=replace(chosen.dataset, sha256=dict([*chosen.dataset.sha256.items()][:1]))
        ),
    }
    assert {name for name, one in foreign.items() if loader.is_own(one, read_manifest(digest))} == set()


Say = Callable[[str], None]


class Terminal:
    """Remembers the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    warn = say


WORKS, MISSING = Trial(("bwrap",)), Trial((), "bubblewrap is not on this host", "apt install bubblewrap")
BROKEN = Trial((), "bubblewrap does not work on this host (bwrap: no)")


@pytest.mark.parametrize("own", [True, False])
def test_where_bubblewrap_works_it_is_used_always(monkeypatch, ours: tuple[Experiment, str], own: bool) -> None:
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: WORKS)
    engine = workflow.choose_venv_engine(ours[0], own, False, terminal := Terminal())
    assert isinstance(engine, VenvEngine)
    assert (engine.trial, terminal.lines) == (WORKS, [])


@pytest.mark.parametrize("trial", [MISSING, BROKEN])
def test_without_it_the_projects_own_alone_runs(monkeypatch, ours: tuple[Experiment, str], trial: Trial) -> None:
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: trial)
    engine = workflow.choose_venv_engine(ours[0], True, False, terminal := Terminal())
    assert isinstance(engine, VenvEngine)
    assert engine.trial is None
    assert terminal.lines == [f"{trial.lack}: the project's own model and data run without a sandbox"]
    with pytest.raises(CrossquantError) as caught:
        workflow.choose_venv_engine(ours[0], False, False, Terminal())
    fix = "`apt install bubblewrap`, or start Docker" if trial is MISSING else "start Docker"
    assert str(caught.value).endswith(f"{trial.lack}: {fix}")


@pytest.mark.parametrize("own", [True, False])
def test_without_a_sandbox_by_the_users_wish(monkeypatch, ours: tuple[Experiment, str], own: bool) -> None:
    monkeypatch.setattr(bubblewrap, "try_sandbox", lambda: pytest.fail("nothing is to be tried"))
    engine = workflow.choose_venv_engine(ours[0], own, True, terminal := Terminal())
    assert isinstance(engine, VenvEngine)
    assert engine.trial is None
    assert len(terminal.lines) == (0 if own else 1)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "a.csv").write_text("1\n")
    return folder


def test_a_link_within_the_folder_is_followed(given: Path) -> None:
    (given / "b.csv").symlink_to("train/a.csv")
    (given / "test").symlink_to(given / "train")
    assert sorted(user_files.data_files(given)) == ["files/b.csv", "files/test/a.csv", "files/train/a.csv"]


def test_a_folder_without_files_is_kept(given: Path, tmp_path: Path) -> None:
    """It may be that of a class, which has its number without samples too."""
    for name in ("train/elk", "test/.hidden", "test/fox"):
        (given / name).mkdir(parents=True)
    (given / "train" / "elk" / ".keep").write_text("of git")
    files = user_files.data_files(given)
    assert sorted(files) == ["files/test/fox/.empty", "files/train/a.csv", "files/train/elk/.empty"]
    user_files.copy(files, tmp_path / "copy")
    assert (tmp_path / "copy" / "files" / "train" / "elk" / ".empty").read_bytes() == b""


def test_a_folder_of_folders_without_files_is_empty(given: Path) -> None:
    (given / "train" / "a.csv").unlink()
    with pytest.raises(CrossquantError, match="is empty: put the data there"):
        user_files.data_files(given)


def test_the_folder_itself_may_be_a_link(given: Path) -> None:
    top = given.with_name("mine")
    top.symlink_to(given)
    (given / "b.csv").symlink_to(given / "train" / "a.csv")
    assert sorted(user_files.data_files(top)) == ["files/b.csv", "files/train/a.csv"]


@pytest.mark.parametrize("name", ["train.csv", "train/secrets"])
def test_a_link_out_of_the_folder_is_refused(given: Path, name: str) -> None:
    target = given.with_name("elsewhere")
    target.mkdir()
    (given / name).symlink_to(target)
    with pytest.raises(CrossquantError) as caught:
        user_files.data_files(given)
    wanted = f"{given / name} is a link to {target}, outside of {given}: copy that there in its place"
    assert str(caught.value) == wanted


def test_a_link_to_a_folder_that_begins_alike_is_out_of_it(given: Path) -> None:
    given.with_name("data-2").mkdir()
    (given / "a").symlink_to("../data-2")
    with pytest.raises(CrossquantError, match="outside of"):
        user_files.data_files(given)


def test_a_link_that_leads_out_by_way_of_another(given: Path) -> None:
    (given / "train" / "b.csv").symlink_to("/etc/passwd")
    (given / "c.csv").symlink_to("train/b.csv")
    with pytest.raises(CrossquantError, match=r"is a link to /etc/passwd, outside of"):
        user_files.data_files(given)


@pytest.mark.parametrize(("target", "message"), [("none", "to nothing"), ("..", "outside of"), (".", "that it is in")])
def test_a_link_to_nothing_or_back(given: Path, target: str, message: str) -> None:
    (given / "a").symlink_to(target)
    with pytest.raises(CrossquantError, match=message):
        user_files.data_files(given)


def test_two_folders_with_links_to_each_other(given: Path) -> None:
    (given / "test").mkdir()
    for number in range(3):
        (given / "train" / f"x{number}").symlink_to("../test")
        (given / "test" / f"y{number}").symlink_to("../train")
    with pytest.raises(CrossquantError, match="to a folder that it is in"):
        user_files.data_files(given)


def test_links_that_make_few_folders_many(given: Path) -> None:
    for number in range(30):
        (given / f"d{number}").mkdir()
        for name in "ab":
            (given / f"d{number}" / name).symlink_to(f"../d{number + 1}" if number < 29 else "../train")
    with pytest.raises(CrossquantError, match="has more than 1,000 links to folders"):
        user_files.data_files(given)


def test_a_pipe_is_not_waited_for(given: Path) -> None:
    os.mkfifo(given / "a.csv")
    with pytest.raises(CrossquantError, match=r"a\.csv is no file: take it away"):
        user_files.data_files(given)


def test_a_saved_model_has_no_links_out_of_it_either(given: Path) -> None:
    (given / user_files.SAVED_MODEL).write_bytes(b"x")
    (given / "variables").symlink_to("/etc")
    with pytest.raises(CrossquantError, match=r"variables is a link to /etc, outside of"):
        user_files.model_files(given, Model(sources=(Source(path=str(given)),)))
