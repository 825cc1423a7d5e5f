"""The small tables that come with scikit-learn: rows of measurements, each with a class or a number
to predict.

Inputs are float32 (rows, columns) in the table's own units; scaling is the study's business, from
training rows alone. A quarter of the rows is the test part, always the same one.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data.labelled import Dataset, Labelled, hold_out

SPLIT_SEED = 1998  # the splits are part of the data sets: no run's seed moves them
Array = np.ndarray[Any, np.dtype[np.float64]]


def iris() -> Dataset[Tensor]:
    """Three species of iris by length and width of sepals and petals in cm: (113, 4) and (37, 4).

    References
    ----------
    R. A. Fisher: The use of multiple measurements in taxonomic problems,
    Annals of Eugenics 7 (1936)
    """
    table = table_of("iris", delimiter=",", skiprows=1)
    return _parted(
        table[:, :4],
        table[:, 4],
        ("setosa", "versicolor", "virginica"),
        "R. A. Fisher: Iris (1936)",
    )


def wine() -> Dataset[Tensor]:
    """Wines of three growers by 13 chemical measurements: (134, 13) and (44, 13).

    References
    ----------
    M. Forina et al.: PARVUS (1988); S. Aeberhard, UCI Machine Learning Repository (1991)
    """
    table = table_of("wine", "wine_data.csv", delimiter=",", skiprows=1)
    return _parted(
        table[:, :13], table[:, 13], ("first", "second", "third"), "M. Forina: Wine (UCI, 1991)"
    )


def breast_cancer() -> Dataset[Tensor]:
    """Tumours, malignant (0) or benign (1), by 30 measurements of cell nuclei: (427, 30) and (142,
    30).

    References
    ----------
    W. N. Street, W. H. Wolberg, O. L. Mangasarian: Nuclear feature extraction
    for breast tumor diagnosis (1993)
    """
    table = table_of("breast_cancer", delimiter=",", skiprows=1)
    source = "W. H. Wolberg et al.: Breast Cancer Wisconsin, diagnostic (UCI, 1995)"
    return _parted(table[:, :30], table[:, 30], ("malignant", "benign"), source)


DIABETES = ("age", "sex", "BMI", "pressure", "TC", "LDL", "HDL", "TCH", "LTG", "glucose")


def diabetes() -> Dataset[Tensor]:
    """Progress of diabetes a year later (25 to 346; labels are float32) by ten measurements: (332,
    10) and (110, 10).

    References
    ----------
    B. Efron, T. Hastie, I. Johnstone, R. Tibshirani: Least angle regression,
    Annals of Statistics 32 (2004)
    """
    rows = table_of("diabetes", "diabetes_data_raw.csv.gz", scaled=False)
    progress = table_of("diabetes", "diabetes_target.csv.gz", target=True)
    return _parted(rows[:, :10], progress, (), "B. Efron et al.: Diabetes (2004)")


def table_of(
    name: str, file: str = "", *, scaled: bool | None = None, target: bool = False, **reading: Any
) -> Array:
    """A table from the file in scikit-learn's folder, in 0.05 s; where it is not there, from
    scikit-learn, in a second.

    Args:
        name: scikit-learn's, as in ``load_<name>``.
        file: where it is not ``<name>.csv``.
        scaled: what the loader's argument of this name must be, if it has one.
        target: the labels alone; else the loader's data, and the labels as a last column.
        reading: for ``numpy.loadtxt``.
    """
    package = find_spec("sklearn")
    if package and package.origin:
        path = Path(package.origin).parent / "datasets" / "data" / (file or f"{name}.csv")
        if path.is_file():
            return np.loadtxt(path, **reading)
    load = getattr(import_module("sklearn.datasets"), f"load_{name}")
    data, labels = load(return_X_y=True, **({} if scaled is None else {"scaled": scaled}))
    table: Array = labels if target else np.column_stack([data, labels])
    return table


def _parted(inputs: Array, labels: Array, classes: tuple[str, ...], source: str) -> Dataset[Tensor]:
    targets = torch.from_numpy(labels.astype(np.int64 if classes else np.float32))
    whole = Labelled(torch.from_numpy(inputs.astype(np.float32)), targets)
    train, test = hold_out(whole, len(whole) // 4, torch.Generator().manual_seed(SPLIT_SEED))
    return Dataset(train, test, classes, source)
