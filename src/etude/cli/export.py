"""Hand a run over: its network as HDF5, safetensors or ONNX, or the study, trained anew, as a
notebook.

An ONNX takes any batch, and sequences of any length where the study has such; before it is kept,
onnxruntime must give PyTorch's numbers at two sizes of each. Where ONNX can't express a study's
network, 'etude show' says why.
"""

from __future__ import annotations

import argparse

from etude.cli.options import add_run, add_study
from etude.cli.output import echo
from etude.results.listing import standing, trusted
from etude.runs.folder import RunFolder

KINDS = ("hdf5", "safetensors", "onnx", "notebook")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude export``."""
    add_run(parser)
    parser.add_argument("--to", required=True, choices=KINDS, help="the format")
    parser.add_argument(
        "--output", metavar="FILE", help="by default the run's name with the format's ending, here"
    )
    add_study(parser)


def main(options: argparse.Namespace) -> int:
    """Write the file and say where it lies."""
    folder = RunFolder.open(options.run, options.runs, trusted)

    from etude.results.export import export

    echo(export(folder, options.to, options.output, options.study))
    echo(f"of run {folder.name}: {standing(folder)}", error=True)
    return 0
