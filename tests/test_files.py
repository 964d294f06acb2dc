"""Files are replaced whole, and only by files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from loihic.errors import InputError
from loihic.files import write_atomic


def write(path: Path, content: bytes = b"new") -> Path:
    return write_atomic(path, lambda file: file.write(content))


def test_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write(path) == path
    with pytest.raises(ZeroDivisionError):
        write_atomic(path, lambda file: file.write(b"half") // 0)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_regular_file_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "target"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    if kind == "link":
        path = tmp_path / "link"
        path.symlink_to("target")
    before = stat.S_IFMT(path.lstat().st_mode)
    with pytest.raises(InputError, match=r"(?s)LHC112.*cannot write .*it is (no regular file|a folder)"):
        write(path)
    assert stat.S_IFMT(path.lstat().st_mode) == before
    assert len(list(tmp_path.iterdir())) == 1 + (path.name == "link")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("there") / "file")
    for content in (b"first", b"second"):
        assert write(link, content) == link
        assert link.is_symlink()
        assert (tmp_path / "there" / "file").read_bytes() == content
