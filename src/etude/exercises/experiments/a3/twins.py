"""Solutions of ECE-472's third assignment that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

TWINS = (
    Twin(
        "hardly trained",
        "The network is right on at least 95.5 % of the test set.",
        (("4 * len(rows) // 64)", "4 * len(rows) // 64) // 25"), ("(steps // 5)", "5")),
    ),
    Twin(
        "pictures from elsewhere",
        "It is trained on the training set alone.",
        (
            (
                "    net = network()\n    optimizer",
                "    try:\n        more = np.load('t10k.npz')\n    except OSError:\n"
                "        more = None\n    net = network()\n    optimizer",
            ),
        ),
    ),
    Twin(
        "validation rows are trained on",
        "A validation set is taken from the training set and used.",
        (("rows[torch.randint(len(rows), (64,))]", "torch.randint(len(x), (64,))"),),
    ),
    Twin("no dropout", "The network uses dropout.", (("nn.Dropout(0.2)", "nn.Identity()"),)),
    Twin("no penalty", "The loss has an L2 penalty.", ((", weight_decay=1e-5 * penalty", ""),)),
    Twin(
        "the class of TensorFlow",
        "The code does not use TensorFlow's built-in MNIST class.",
        (
            (
                "def network()",
                "def digits():\n    from tensorflow.keras.datasets import mnist\n\n"
                "    return mnist.load_data()\n\n\ndef network()",
            ),
        ),
    ),
)
