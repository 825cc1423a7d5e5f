"""Executes a user's file as a module, with what lies beside it; what it fails by is a sentence."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from etude.errors import UserError


def import_file(path: Path, folder: Path | None) -> ModuleType:
    """A user's file as a module, anew each time.

    Args:
        path: the file.
        folder: where it is the main file of a folder, that: then it lies within a package, so that
            ``from ._x import y`` works.

    Raises:
        UserError: its code fails; with the error and the line.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    name = package = f"etude_user_{path.stem}"
    for known in [
        each for each in sys.modules if each == package or each.startswith(f"{package}.")
    ]:
        del sys.modules[known]  # files may have changed since
    if folder is not None:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
        name = f"{package}.{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    with _put_beside(path.parent), _as_sentence(path):
        spec.loader.exec_module(module)
    return module


_beside: dict[str, set[str]] = {}  # the folder of the user's study loaded last: its modules


@contextmanager
def _put_beside(folder: Path) -> Iterator[None]:
    """Let a study import what lies beside it, ``import helpers``, in every process alike.

    What is installed goes before: a ``random.py`` or ``torch.py`` beside it would otherwise be
    taken for Python's own by whatever is imported next. What was loaded so before is forgotten: it
    is another study's, or may have changed since. The folder stays on the path for what the study
    imports as it runs.
    """
    for known, modules in _beside.items():
        with suppress(ValueError):
            sys.path.remove(known)
        for name in modules:
            sys.modules.pop(name, None)
    _beside.clear()
    _beside[str(folder)] = own = set()
    sys.path.append(str(folder))
    importlib.invalidate_caches()  # files may be newer than what was seen of the folder
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            spec = getattr(sys.modules[name], "__spec__", None)
            if isinstance(spec, ModuleSpec):
                top = folder / name.partition(".")[0]
                places = [spec.origin] if spec.origin else spec.submodule_search_locations or []
                if any(top in (p, p.with_suffix(""), *p.parents) for p in map(Path, places)):
                    own.add(name)


@contextmanager
def _as_sentence(path: Path) -> Iterator[None]:
    """Make a sentence of what a user's file fails by as it is imported: the error, and the last
    line of the user's own that it passed through.
    """
    try:
        yield
    except UserError:
        raise
    except SyntaxError as error:
        file = Path(error.filename).name if error.filename else path.name
        raise UserError(
            f"{path} can't be imported: {error.msg} ({file}, line {error.lineno})"
        ) from error
    except Exception as error:
        trace = traceback.extract_tb(error.__traceback__)
        own = [each for each in trace if Path(each.filename).parent == path.parent]
        where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
        said = str(error).strip()
        kind = type(error).__name__
        raise UserError(
            f"{path} can't be imported: {f'{kind}: {said}' if said else kind}{where}"
        ) from error
