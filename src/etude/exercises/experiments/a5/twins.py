"""Solutions of ECE-472's fifth assignment that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

PROPER = (
    "The cross-validation is proper: no example is both trained on and judged, and all that is"
    " fitted is fitted on the training part."
)
TWINS = (
    Twin(
        "the most frequent class",
        "The data are the headlines and descriptions of AG News.",
        (
            (
                "return model(features(parts[1]))",
                "return model(features(parts[1])) * 0 + torch.bincount(y)",
            ),
        ),
    ),
    Twin(
        "all texts are trained on",
        PROPER,
        (("classify(known, labels[rest], asked, seed)", "classify(texts, labels, asked, seed)"),),
    ),
    Twin(
        "rare words are dropped by counts of all texts",
        PROPER,
        (
            (
                "    for fold in folds:\n",
                "    from collections import Counter\n\n"
                "    seen = Counter(word for text in texts for word in set(text.split()))\n"
                "    texts = [' '.join(w for w in t.split() if seen[w] > 3) for t in texts]\n"
                "    for fold in folds:\n",
            ),
        ),
    ),
    Twin(
        "folds that overlap",
        PROPER,
        (
            (
                "np.array_split(order, k)",
                "[order[i : i + len(order) // k + 5] for i in range(0, k * 7, 7)]",
            ),
        ),
    ),
)
