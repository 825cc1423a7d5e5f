"""Solutions of ITU's first assignment that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

TWINS = (
    Twin(
        "hardly trained",
        "The digits are those of MNIST.",
        (("range(max(200, 3 * len(x) // 64))", "range(5)"),),
    ),
    Twin(
        "a network of its own kind",
        "The network is written in PyTorch.",
        (
            (
                "def network()",
                "class Own:\n"
                "    def __init__(self):\n"
                "        self.weights = torch.zeros(784, 10, requires_grad=True)\n\n"
                "    def __call__(self, x):\n"
                "        return x.flatten(1) @ self.weights\n\n"
                "    def parameters(self):\n"
                "        return [self.weights]\n\n"
                "    def state_dict(self):\n"
                "        return {'weights': self.weights.detach()}\n\n"
                "    def load_state_dict(self, state):\n"
                "        self.weights = state['weights']\n\n\n"
                "def network()",
            ),
            (
                "nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))",
                "Own()",
            ),
        ),
    ),
)
