"""The data sets that Etude can read from disk or download: what they are called, where they are, what they must be.

Plain facts: no torch, no network, nothing is opened. :mod:`etude.data.store` finds and fetches the files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file of a data set; `checksum` is ``"md5:…"`` or ``"sha256:…"`` of its content, ``""`` where none is known.

    `also` are other names under which the same content may lie; one that ends in ``.xz`` is that content compressed.
    """

    name: str
    checksum: str = ""
    bytes: int | None = None
    urls: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edition:
    """One form in which a data set may lie on disk; it is there when all of its files are."""

    name: str
    files: tuple[File, ...]
    complete: bool = True


@dataclass(frozen=True)
class DataSet:
    """A data set: its editions (the first is the official one, and the one that is downloaded), and who made it."""

    name: str
    editions: tuple[Edition, ...]
    homepage: str
    source: str
    licence: str

    @property
    def files(self) -> tuple[File, ...]:
        """The files of the official edition."""
        return self.editions[0].files


def _idx(sizes_and_sums: dict[str, tuple[int, str]], *mirrors: str) -> Edition:
    return Edition(
        "official files (IDX, gzip)",
        tuple(
            File(name, f"md5:{md5}", size, tuple(mirror + name for mirror in mirrors))
            for name, (size, md5) in sizes_and_sums.items()
        ),
    )


_UNPACKED_IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

MNIST = DataSet(
    name="mnist",
    editions=(
        _idx(
            {
                "train-images-idx3-ubyte.gz": (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                "train-labels-idx1-ubyte.gz": (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
                "t10k-images-idx3-ubyte.gz": (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
                "t10k-labels-idx1-ubyte.gz": (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        Edition("unpacked files (IDX)", tuple(File(name) for name in _UNPACKED_IDX)),
    ),
    homepage="https://yann.lecun.com/exdb/mnist/",
    source="Y. LeCun, C. Cortes, C. Burges: The MNIST database of handwritten digits (1998)",
    licence="none stated by its makers; often given as CC BY-SA 3.0",
)

FASHION_MNIST = DataSet(
    name="fashion-mnist",
    editions=(
        _idx(
            {
                "train-images-idx3-ubyte.gz": (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                "train-labels-idx1-ubyte.gz": (29_515, "25c81989df183df01b3e8a0aad5dffbe"),
                "t10k-images-idx3-ubyte.gz": (4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
                "t10k-labels-idx1-ubyte.gz": (5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
            },
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        Edition("unpacked files (IDX)", tuple(File(name) for name in _UNPACKED_IDX)),
    ),
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    source="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST (2017), arXiv:1708.07747",
    licence="MIT",
)

# The md5 of each official batch, unpacked.
_CIFAR_10_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def _cifar_10_batches(folder: str) -> tuple[File, ...]:
    return tuple(
        File(folder + name, f"md5:{md5}", also=(f"{folder}{name}.xz",)) for name, md5 in _CIFAR_10_BATCHES.items()
    )


CIFAR_10 = DataSet(
    name="cifar-10",
    editions=(
        Edition(
            "official archive",
            (
                File(
                    "cifar-10-python.tar.gz",
                    "md5:c58f30108f718f92721af3b95e74349a",
                    170_498_071,
                    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                ),
            ),
        ),
        Edition("its folder", _cifar_10_batches("cifar-10-batches-py/")),
        Edition("its batches", _cifar_10_batches("")),
    ),
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    source="A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
    licence="none stated; its makers ask for the citation",
)

CIFAR_100 = DataSet(
    name="cifar-100",
    editions=(
        Edition(
            "official archive",
            (
                File(
                    "cifar-100-python.tar.gz",
                    "md5:eb9058c3a382ffc7106e4002c42a8d85",
                    169_001_437,
                    ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
                ),
            ),
        ),
        Edition(
            "its folder",
            (
                File("cifar-100-python/train", "md5:16019d7e3df5f24257cddd939b257f8d"),
                File("cifar-100-python/test", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc"),
                File("cifar-100-python/meta", "md5:7973b15100ade9c7d40fb424638fde48"),
            ),
        ),
        Edition("subset of 6,000 + 2,000 PNG", (File("cifar-100-subset-png.tar.gz"),), complete=False),
    ),
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    source="A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
    licence="none stated; its makers ask for the citation",
)

_AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
_AG_NEWS_TEST = File("test.csv", "md5:d52ea96a97a2d943681189a97654912d", 1_857_427, (_AG_NEWS + "test.csv",))

AG_NEWS = DataSet(
    name="ag-news",
    editions=(
        Edition(
            "official files (CSV)",
            (
                File("train.csv", "md5:b1a00f826fdfbd249f79597b59e1dc12", 29_470_338, (_AG_NEWS + "train.csv",)),
                _AG_NEWS_TEST,
            ),
        ),
        Edition(
            "subset of 7,000 training rows",
            (
                File("train.first2000.csv", "md5:e14158b472fdc6b395294b469b890765"),
                File("subset5000.text-label.csv", "md5:0c260391acaa764f8a90ac4bcb0e619b"),
                _AG_NEWS_TEST,
            ),
            complete=False,
        ),
    ),
    homepage="https://github.com/mhjabreel/CharCnn_Keras/tree/master/data/ag_news_csv",
    source="X. Zhang, J. Zhao, Y. LeCun: Character-level Convolutional Networks for Text Classification (2015)",
    licence="research and other non-commercial use",
)

SETS: dict[str, DataSet] = {each.name: each for each in (MNIST, FASHION_MNIST, CIFAR_10, CIFAR_100, AG_NEWS)}
