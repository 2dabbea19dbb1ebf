import subprocess

import pytest

from mien.core.provenance import commit


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    (tmp_path / "code.py").write_text("1\n")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "code.py"], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--no-verify", "-m", "start"], check=True)
    return tmp_path


def test_the_commit_is_marked_where_tracked_files_changed(repository):
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    (repository / "untracked.txt").write_text("x")
    assert commit() == head
    (repository / "code.py").write_text("2\n")
    assert commit() == f"{head}-dirty"
    assert commit(apart_from=repository / "code.py") == head


def test_outside_a_repository_or_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None
