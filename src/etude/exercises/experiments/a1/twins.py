"""Solutions of ECE-472's first assignment that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

LEARNED = "The bias, the weights, the places μ and the widths σ are all learned."
SGD = "Stochastic gradient descent finds the parameters."
BY_HAND = """error = predict(parameters, points[rows]) - targets[rows]
        with torch.no_grad():
            phi = basis(points[rows], parameters["mu"], parameters["sigma"])
            away = points[rows][:, None] - parameters["mu"]
            by_phi = error[:, None] * parameters["w"] * phi / len(error)
            sigma = parameters["sigma"]
            parameters["w"].grad = (error[:, None] * phi).mean(0)
            parameters["b"].grad = error.mean()
            parameters["mu"].grad = (by_phi * 2 * away / sigma**2).sum(0)
            parameters["sigma"].grad = (by_phi * 2 * away**2 / sigma**3).sum(0)"""

TWINS = (
    Twin(
        "forty points",
        "There are 50 points, and x is uniform on 0 to 1.",
        (("rng.uniform(0, 1, 50)", "rng.uniform(0, 1, 40)"), ("size=50)", "size=40)")),
    ),
    Twin(
        "points on a grid",
        "There are 50 points, and x is uniform on 0 to 1.",
        (("rng.uniform(0, 1, 50)", "np.linspace(0, 1, 50)"),),
    ),
    Twin(
        "twice the noise",
        "The targets are sin(2πx) and Gaussian noise with σ = 0.1.",
        (("0.1 * rng.normal(size=50)", "0.2 * rng.normal(size=50)"),),
    ),
    Twin(
        "noise that is uniform",
        "The targets are sin(2πx) and Gaussian noise with σ = 0.1.",
        (("0.1 * rng.normal(size=50)", "rng.uniform(-0.1732, 0.1732, 50)"),),
    ),
    Twin(
        "no bias",
        "The model is a weighted sum of M basis functions and a bias.",
        (
            (
                ' + torch.as_tensor(parameters["b"])',
                ' + 0.1 * torch.as_tensor(parameters["b"])',
            ),
        ),
    ),
    Twin(
        "the normal density's exponent",
        "Each basis function is exp(−(x − μ)² / σ²).",
        (("** 2) / sigma**2)", "** 2) / (2 * sigma**2))"),),
    ),
    Twin(
        "no half",
        "The loss is half the squared error, over all pairs.",
        (("** 2 / 2).mean()", "** 2).mean()"),),
    ),
    Twin(
        "places that stay",
        LEARNED,
        (('[parameters["mu"], parameters["sigma"]], "lr"', '[parameters["sigma"]], "lr"'),),
    ),
    Twin("hardly trained", LEARNED, (("600, 0.3", "20, 0.3"),)),
    Twin("all points in each step", SGD, (("torch.randint(len(points), (10,))", "slice(None)"),)),
    Twin(
        "gradients by hand",
        "A framework with automatic differentiation computes the gradients.",
        (("loss(targets[rows], predict(parameters, points[rows])).backward()", BY_HAND),),
    ),
    Twin(
        "no names on the axes",
        "There are two plots.",
        (('axes.set(xlabel="x", ylabel="y")', "pass"),),
        redrawn=True,
    ),
    Twin(
        "no sine",
        "The first plot shows the points, the sine without noise and the model's curve.",
        (("np.sin(2 * np.pi * grid), ", "0 * grid, "),),
        redrawn=True,
    ),
    Twin(
        "a basis function left out",
        "The second plot shows each of the M basis functions.",
        (("enumerate(values.T)", "enumerate(values.T[1:])"),),
        redrawn=True,
    ),
)
