"""The workflow and the examples of docs/testing.md: valid, and made of commands, options and names that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from loihic import pytest_plugin, testing
from loihic.cli import main

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "examples" / "ci" / "loihic.yml"
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf8")


def commands() -> list[list[str]]:
    """Every command of the workflow, as words."""
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf8"))
    assert set(workflow) >= {"name", "jobs", True}  # YAML 1.1 reads the key `on` as true
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    return [shlex.split(line) for step in steps for line in step.get("run", "").splitlines()]


def assert_known(words: list[str]) -> None:
    """A command of loihic with options that it has, or pytest with options of ours."""
    if words[0] == "loihic":
        assert isinstance(main, click.Group)
        command = main.commands[words[1]]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known, words
    elif "pytest" in words and "install" not in words:
        known = set(re.findall(r'"(--loihic-[a-z-]+)"', Path(pytest_plugin.__file__).read_text(encoding="utf8")))
        assert {word for word in words if word.startswith("--loihic")} <= known, words
    else:
        assert words[:4] == ["python", "-m", "pip", "install"], words


def test_the_workflow_calls_what_exists() -> None:
    found = commands()
    assert {words[1] for words in found if words[0] == "loihic"} == {"doctor", "check", "compile"}
    assert any("--loihic-require-lava" in words for words in found)
    for words in found:
        assert_known(words)


def test_the_page_names_what_exists() -> None:
    for code in re.findall(r"```(?:python|toml|console)\n(.*?)```", PAGE, re.DOTALL):
        for name in re.findall(r"\bassert_\w+", code):
            assert callable(getattr(testing, name))
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        compile(block, "docs/testing.md", "exec")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            assert_known(shlex.split(line))
    assert "examples/ci/loihic.yml" in PAGE
    for name in (name for name in vars(testing) if name.startswith("assert_")):
        assert name in PAGE
