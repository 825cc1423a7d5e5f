"""Solutions of ECE-472's second assignment that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

TWINS = (
    Twin(
        "always the same points",
        "The student's own code generates the data.",
        (("np.random.default_rng(seed)\n    t = ", "np.random.default_rng(0)\n    t = "),),
    ),
    Twin(
        "fixed features, and one matrix that is learned",
        "The model is a multi-layer perceptron, and it returns the probability of class 1.",
        (
            (
                "def network()",
                "class Features(nn.Module):\n"
                "    def __init__(self):\n"
                "        super().__init__()\n"
                "        rng = torch.Generator().manual_seed(0)\n"
                "        self.frequencies = 5 * torch.randn(2, 300, generator=rng)\n"
                "        self.phases = 6.3 * torch.rand(300, generator=rng)\n"
                "        self.last = nn.Linear(300, 1)\n\n"
                "    def forward(self, x):\n"
                "        return self.last(torch.cos(x @ self.frequencies + self.phases))\n\n\n"
                "def network()",
            ),
            ("MLP(2, [48, 48], 1)", "Features()"),
        ),
    ),
    Twin(
        "logits in place of probabilities",
        "It takes two numbers and returns one from 0 to 1.",
        (("return torch.sigmoid(logits)", "return logits + 0.5"),),
    ),
    Twin(
        "hardly trained",
        "Every training point is classified correctly.",
        (("range(400)", "range(20)"),),
    ),
    Twin(
        "no penalty",
        "The loss has an L2 penalty on the parameters.",
        ((" + 1e-5 * penalty * squares", ""),),
    ),
    Twin("no legend", "There is one plot.", (("    axes.legend()\n", ""),), redrawn=True),
    Twin(
        "no boundary",
        "The plot shows the points and the boundary at p = 0.5.",
        (("axes.contour(grid, grid, p, [0.5])", "pass"),),
        redrawn=True,
    ),
)
