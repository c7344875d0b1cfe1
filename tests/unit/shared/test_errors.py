"""Errors are one line that names the thing and the fix; the class decides the exit code."""

import errno

import pytest

from shared.errors import DISK_FULL, CrossquantError, FieldError, StageError, Unsupported, explain


@pytest.mark.parametrize(("kind", "code"), [(CrossquantError, 2), (StageError, 3), (Unsupported, 0)])
def test_the_class_decides_the_exit_code(kind, code):
    assert kind("text").exit_code == code
    assert isinstance(kind("text"), CrossquantError)


def test_a_field_error_leads_to_the_field():
    error = FieldError(("steps", "0", "run"), "is missing")
    assert str(error) == "steps.0.run: is missing"
    assert (error.path, error.problem, error.exit_code) == (("steps", "0", "run"), "is missing", 2)


def test_a_field_error_about_the_whole_file_has_no_path():
    assert str(FieldError((), "must be a mapping")) == "must be a mapping"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "volumes/x"), DISK_FULL),
        (
            PermissionError(errno.EACCES, "Permission denied", "volumes/x"),
            "volumes/x: Permission denied: fix that and run again",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe: fix that and run again"),
        (OSError("a library's own words"), "a library's own words: fix that and run again"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, line):
    assert explain(error) == line


def test_a_full_disk_names_its_fix():
    assert DISK_FULL == "the disk is full: free some space and run again; what is finished is kept"
