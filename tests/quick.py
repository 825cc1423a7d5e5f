"""``make quick``: the rules of the house, fast units, and the tests of what differs from ``main``.

Says what it chose, then hands it to pytest. Options of pytest may follow.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
ALWAYS = [  # fast, and about what everything else rests on
    "tests/test_house.py",
    "tests/test_catalogue.py",
    "tests/test_package.py",
    "tests/test_quick.py",
]
MOST = 3  # studies whose first losses are run; each costs some seconds


def main() -> int:
    """Choose, say so, and run."""
    base, files = touched()
    chosen, studies = choice(files)
    print(f"{len(files)} files differ from {base}")
    print("tests:", *chosen, sep="\n  ")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow and not claims",
        *chosen,
        *sys.argv[1:],
    ]
    code = subprocess.run(command, cwd=ROOT).returncode
    if studies and not code:
        some = studies[:MOST]
        left = f", not {', '.join(studies[MOST:])}: make test" if studies[MOST:] else ""
        print(f"first losses and resume of {', '.join(some)}{left}")
        every = ["tests/studies/test_catalogue.py"]
        names = " or ".join(f"[{name}" for name in some)
        command = [sys.executable, "-m", "pytest", "-q", *every, "-k", names]
        code = subprocess.run(command, cwd=ROOT).returncode
    return code


def touched() -> tuple[str, list[str]]:
    """What is compared with (``main``; on ``main`` itself the last commit), and the files that
    differ from it, untracked ones among them.
    """
    base = git("merge-base", "HEAD", "main") or ["HEAD"]
    if base == git("rev-parse", "HEAD"):
        base = ["HEAD"]
    files = git("diff", "--name-only", base[0], "--")
    files += git("ls-files", "--others", "--exclude-standard")
    return base[0][:10], sorted(set(files))


def git(*words: str) -> list[str]:
    """The lines that git answers with; none where it can't."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else []


def choice(files: Iterable[str]) -> tuple[list[str], list[str]]:
    """The test files to run, and the studies whose first losses to compare."""
    chosen = dict.fromkeys(ALWAYS)
    studies: dict[str, None] = {}
    for file in map(Path, files):
        parts = file.parts
        if file.suffix == ".py" and parts[0] == "tests" and file.name.startswith("test_"):
            chosen[str(file)] = None
        elif parts[:3] == ("src", "etude", "studies") and len(parts) > 5:
            studies[parts[4]] = None
            chosen[f"tests/studies/test_{parts[4]}.py"] = None
        elif file.suffix == ".py" and parts[:2] == ("src", "etude"):
            chosen |= dict.fromkeys(tests_of(file))
    skipped = ("tests/faults/", "tests/app/", "tests/studies/test_cat")
    there = [file for file in chosen if (ROOT / file).is_file() and not file.startswith(skipped)]
    return there, [study for study in studies if (ROOT / "src/etude/studies").glob(f"*/{study}")]


def tests_of(file: Path) -> list[str]:
    """The tests that mirror a file of a room: ``tests/ROOM/test_NAME*.py``, or of its folder."""
    room, *inner = file.parts[2:]
    names = {Path(room).stem} if not inner else {file.stem, Path(inner[0]).stem}
    folder = TESTS / room if inner else TESTS
    found = [path for name in names for path in folder.glob(f"test_{name}*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


if __name__ == "__main__":
    sys.exit(main())
