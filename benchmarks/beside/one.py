"""``python -m benchmarks.beside.one WORK CONTENDER SEED``: one contender once; its last line is
JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.beside.work import works


def main() -> None:
    name, contender, seed = sys.argv[1:]
    try:
        measured = works()[name].contenders[contender](int(seed))
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}))
        return
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
