"""The plug-in of pytest: programs as fixtures, compiled once a session.

It is loaded in every run of pytest wherever loihic is installed, so it imports nothing but pytest until a test asks for
a program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from loihic.program import Program

    Compile = Callable[..., Program]

MARK = "loihic(model, **options): the network of `loihic_program`, a path, a model or a function that makes one"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line, and the same in the configuration file."""
    group = parser.getgroup("loihic")
    group.addoption("--loihic-program", metavar="FILE", help="the program, or the model to compile, of tests that name "
                    "none themselves")
    group.addoption("--loihic-require-lava", action="store_true", default=False,
                    help="tests that compare with Lava fail where it is not installed, instead of being skipped")
    group.addoption("--loihic-timeout", type=float, metavar="SECONDS", help="for each run of Lava")
    parser.addini("loihic_program", "as --loihic-program; relative to the configuration file")
    parser.addini("loihic_require_lava", "as --loihic-require-lava", type="bool", default=False)
    parser.addini("loihic_timeout", "as --loihic-timeout")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and the assertions of `loihic.testing` do as the options say."""
    from loihic import testing

    config.addinivalue_line("markers", MARK)
    config.stash[_BEFORE] = testing.settings
    limit = config.getoption("loihic_timeout")
    if limit is None and (written := config.getini("loihic_timeout")):
        try:
            limit = float(written)
        except ValueError:
            raise pytest.UsageError(f"loihic_timeout = {written} is no number of seconds") from None
    testing.settings = testing.Settings(
        require_lava=bool(config.getoption("loihic_require_lava") or config.getini("loihic_require_lava")),
        timeout=limit)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the assertions as they were."""
    from loihic import testing

    testing.settings = config.stash.get(_BEFORE, testing.settings)


_BEFORE: pytest.StashKey[Any] = pytest.StashKey()


class Programs:
    """Programs by what they were made of; each is made once.

    A model that is no path, and an option such as calibration data, is known by its identity, and kept so that no other
    object can take it over.
    """

    def __init__(self) -> None:
        self.made: dict[Any, tuple[Program, Any]] = {}

    def __call__(self, model: Any, **options: Any) -> Program:
        """Load a .loihic file, or compile anything that `loihic.compile` takes, or a function that returns such.

        Raises:
            LoihicError: the model cannot be compiled, the file cannot be read, or it holds a program that is compiled
                already and options were given.
        """
        if isinstance(model, str | os.PathLike):
            model = Path(model).resolve()
        of_file = model.stat().st_mtime_ns if isinstance(model, Path) and model.exists() else 0
        key = (model if isinstance(model, Path) else id(model), of_file,
               tuple((name, _key(options[name])) for name in sorted(options)))
        if key not in self.made:
            self.made[key] = self._make(model, options), (model, options)
        return self.made[key][0]

    def _make(self, model: Any, options: dict[str, Any]) -> Program:
        import loihic
        from loihic.errors import InputError, fail

        if isinstance(model, Path) and model.suffix == ".loihic":
            if options:
                fail("LHC702", f"{model.name} is compiled already", param=f"options: {', '.join(options)}",
                     help="leave them out, or name the model that it was compiled from", error=InputError)
            return loihic.load(model)
        return loihic.compile(model() if isfunction(model) else model, **options)


def _key(value: Any) -> Any:
    plain = isinstance(value, str | int | float | bool | None) or (
        isinstance(value, tuple) and all(isinstance(item, str | int | float) for item in value))
    return (type(value).__name__, value) if plain else id(value)


@pytest.fixture(scope="session")
def loihic_compile() -> Compile:
    """A function (model, **options) -> Program that compiles or loads, each combination once a session."""
    return Programs()


@pytest.fixture
def loihic_program(request: pytest.FixtureRequest, loihic_compile: Compile) -> Program:
    """The program of the test's mark `loihic`, else that of --loihic-program, else that of the configuration file."""
    from loihic.errors import LoihicError

    mark = request.node.get_closest_marker("loihic")
    options = dict(mark.kwargs) if mark is not None else {}
    if mark is not None and len(mark.args) > 1:
        pytest.fail(f"a mark has one model: {MARK}", pytrace=False)
    model = mark.args[0] if mark is not None and mark.args else None
    if isinstance(model, str | os.PathLike):
        model = _found(Path(model), request.path.parent, request.config.rootpath)
    if model is None:
        model = _default(request.config)
    try:
        return loihic_compile(model, **options)
    except LoihicError as error:  # its text says it all; where in the compiler it was raised is of no use to a user
        pytest.fail(f"no program of {getattr(model, 'name', model)}:\n{error}", pytrace=False)


def _default(config: pytest.Config) -> Path:
    """The program of the command line, else of the configuration file."""
    given, written = config.getoption("loihic_program"), config.getini("loihic_program")
    if given:
        return _found(Path(given), config.invocation_params.dir)
    if written:
        return _found(Path(written), config.inipath.parent if config.inipath else config.rootpath)
    pytest.fail(
        'no program: give the test a mark, as in @pytest.mark.loihic("model.nir", weight_bits=8), or give '
        "--loihic-program FILE, or loihic_program = FILE in the configuration file", pytrace=False)


def _found(path: Path, *folders: Path) -> Path:
    """The first file of that name, by the folders to which it may be relative."""
    places = [folder / path for folder in folders]
    for place in places:
        if place.is_file():
            return place
    pytest.fail(f"no file {path}; looked for {', '.join(map(str, dict.fromkeys(places)))}", pytrace=False)
