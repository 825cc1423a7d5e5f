"""Solutions of ECE-472's extra challenge that lack one thing."""

from __future__ import annotations

from etude.exercises.twins import Twin

TWINS = (
    Twin(
        "steps that are far too long",
        "The network is right on at least 80 % of the test set.",
        (('group["lr"] = 0.05', 'group["lr"] = 5.0'),),
    ),
    Twin(
        "a text beside the numbers",
        "The network with the fewest parameters wins, and the grader counts them.",
        (('{"theta": net.theta.detach()}', '{"theta": net.theta.detach(), "more": "1 2 3"}'),),
    ),
    Twin(
        "a tenth number",
        "A network with at most nine parameters wins an extra prize.",
        (
            (
                '{"theta": net.theta.detach()}',
                '{"theta": torch.cat([net.theta.detach(), torch.ones(1)])}',
            ),
        ),
    ),
    Twin(
        "no gradient",
        "An algorithm that follows gradients trains it.",
        (
            (
                "cross_entropy(net(x), torch.as_tensor(labels[rows])).backward()",
                "cross_entropy(net(x), torch.as_tensor(labels[rows]))",
            ),
        ),
    ),
)
