"""The skeleton that `automarket new-provider` writes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from automarket.errors import InvalidRequestError
from automarket.templates import new_provider


def test_the_skeleton_passes_its_own_test_as_it_is(tmp_path):
    new_provider("my-first-one", tmp_path)
    project = tmp_path / "my-first-one"
    environment = {**os.environ, "PYTHONPATH": str(project)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert " passed" in run.stdout


def test_the_skeleton_is_found_by_its_entry_point(tmp_path):
    new_provider("my-first-one", tmp_path)
    project = tomllib.loads((tmp_path / "my-first-one" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["automarket.providers"] == {
        "my-first-one": "my_first_one:MyFirstOneProvider"
    }


def test_the_provider_is_at_most_sixty_lines(tmp_path):
    written = new_provider("short", tmp_path)
    [provider] = [path for path in written if path.name == "__init__.py"]
    assert len(provider.read_text().splitlines()) <= 60


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../up", "-x", "class", "x" * 64])
def test_a_name_that_does_not_fit_is_refused(name, tmp_path):
    with pytest.raises(InvalidRequestError, match="no name"):
        new_provider(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "gateway", "asset-store", "automarket"])
def test_a_name_that_would_hide_a_package_is_refused(name, tmp_path):
    with pytest.raises(InvalidRequestError, match="package already"):
        new_provider(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    new_provider("mine", tmp_path)
    with pytest.raises(InvalidRequestError, match="exists already"):
        new_provider("mine", tmp_path)
