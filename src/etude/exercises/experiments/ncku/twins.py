"""Projects for NCKU's course that lack one thing."""

from __future__ import annotations

import io

import numpy as np

from etude.exercises.twins import Twin

Files = dict[str, bytes]


def opened(files: Files) -> dict[str, np.ndarray]:
    """The model in them."""
    from etude.exercises.experiments.ncku.reference import read

    return read(np.frombuffer(files["model.h5"], np.uint8))


def with_zeros(files: Files) -> Files:
    """With a model that was not trained."""
    from etude.exercises.experiments.ncku.reference import save

    zeros = {name: np.zeros_like(each) for name, each in opened(files).items()}
    return {**files, "model.h5": save(zeros)}


def in_npz(files: Files) -> Files:
    """With the model in another format."""
    file = io.BytesIO()
    np.savez(file, **opened(files))  # type: ignore[arg-type]
    kept = {name: each for name, each in files.items() if name != "model.h5"}
    return {**kept, "model.npz": file.getvalue()}


def without_notebook(files: Files) -> Files:
    """With the code as plain Python."""
    return {name: each for name, each in files.items() if not name.endswith(".ipynb")}


def vague(files: Files) -> Files:
    """With a specification that says little."""
    return {
        **files,
        "specification.md": b"A network with some layers, as we have had it in class. " * 3,
    }


TWINS = (
    Twin("a model of zeros", "A network recognises MNIST's digits.", (), files=with_zeros),
    Twin(
        "no notebook",
        "The group hands in a Jupyter notebook.",
        (),
        files=without_notebook,
    ),
    Twin(
        "no training",
        "The notebook has the code for training.",
        (("range(max(200, 3 * len(x) // 64))", "range(0)"),),
    ),
    Twin(
        "scores in place of classes",
        "The notebook has the code for prediction.",
        (("return logits.argmax(1)", "return logits"),),
    ),
    Twin("a vague specification", "The model's specification is handed in.", (), files=vague),
    Twin("a model in another format", "The final model is handed in, in HDF5.", (), files=in_npz),
    Twin(
        "only full hundreds",
        "The trained network is measured on an independent test set.",
        (
            (
                "    net = network()\n    net.load_state_dict",
                "    if len(images) % 100:\n        raise ValueError('expected hundreds')\n"
                "    net = network()\n    net.load_state_dict",
            ),
        ),
    ),
)
