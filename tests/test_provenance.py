"""How a result was made: versions, machine, commit."""

import json
import subprocess
import sys

import numpy as np
import pytest

from selfpab.provenance import environment, git_state


def git(folder, *arguments):
    who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    return subprocess.run(("git", "-C", folder, *who, *arguments), check=True, capture_output=True, text=True).stdout


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "tree" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    git(tmp_path / "tree", "init", "-q")
    git(tmp_path / "tree", "add", "package")
    return folder


def test_it_is_plain_and_names_the_versions():
    here = environment()
    assert json.loads(json.dumps(here)) == here
    assert here["python"] == ".".join(map(str, sys.version_info[:3]))
    assert here["numpy"] == np.__version__
    assert here["cpus"] >= 1
    assert {"torch", "machine", "platform", "threads", "command"} <= set(here)


def test_it_imports_nothing_to_ask_for_its_version():
    code = "import sys, selfpab.provenance as p; p.environment(); sys.exit(bool({'torch', 'numpy'} & {*sys.modules}))"
    subprocess.run((sys.executable, "-c", code), check=True)


def test_the_commit_and_whether_it_is_clean(package):
    assert git_state(package) == {}  # nothing was committed yet
    git(package, "commit", "-qm", "first")
    commit = git(package, "rev-parse", "HEAD").strip()
    assert git_state(package) == {"commit": commit, "clean": True}
    (package.parent / "results.txt").write_text("beside the package")
    assert git_state(package) == {"commit": commit, "clean": True}
    (package / "__init__.py").write_text("changed = 1\n")
    assert git_state(package) == {"commit": commit, "clean": False}


def test_a_package_installed_inside_somebody_elses_checkout_has_no_commit(package):
    git(package, "commit", "-qm", "first")
    installed = package.parent / ".venv" / "selfpab"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert git_state(installed) == {}


def test_no_checkout_and_no_git_give_nothing(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    assert git_state(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {}


@pytest.mark.parametrize("program", ["/somewhere/bin/selfpab", "/somewhere/selfpab/__main__.py"])
def test_the_command_as_it_can_be_given_again(monkeypatch, program):
    monkeypatch.setattr(sys, "argv", [program, "evaluate", "svm", "a b"])
    assert environment()["command"] == "selfpab evaluate svm 'a b'"
