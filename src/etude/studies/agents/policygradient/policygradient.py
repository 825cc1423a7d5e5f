"""Policy gradients: REINFORCE, A2C and PPO balance a pole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from etude.claims import Claim
from etude.figures.control import diagnostics, filmed, learning, maps, noises, over_steps
from etude.networks.actor_critic import ActorCritic
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.environments import Environments, evaluate, film, play, spaces
from etude.training.optimizers import descent
from etude.training.policies import (
    changes,
    clipped,
    entropy,
    gradient_noise,
    probability_of,
    value_loss,
)
from etude.training.returns import advantages, explained_variance
from etude.training.tasks import ANGLES, GOALS, action_names, observed


@dataclass
class PolicyGradient(Study):
    """Learn to act from rewards alone, by the gradient of the expected return."""

    environment: str = "CartPole-v1"  # any of Gymnasium's with a choice of actions
    method: Literal["ppo", "a2c", "reinforce"] = (
        "ppo"  # the scales of these names have settings that suit them
    )
    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of policy and value alike
    copies: Count = 32  # environments that are stepped together
    horizon: Count = 64  # steps of each in a rollout; REINFORCE plays whole episodes instead
    steps: Count = 100_000  # of all copies together
    epochs: Count = 8  # passes over a rollout; PPO only
    batch: Count = 512  # rows of a step of PPO
    discount: Fraction = 0.99  # γ, of rewards a step later
    trace: Fraction = 0.95  # λ of the advantages; of REINFORCE 1
    baseline: bool = True  # V(s) is taken from the returns
    clip: Positive = 0.2  # ε of PPO
    clip_value: Amount = 0.0  # the same for the values; 0: off
    bonus: Amount = 0.0  # of entropy, in the loss
    unit: Positive = 1.0  # of rewards: they are divided by it
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 3e-3  # at first; falls to zero in a straight line
    episodes: Count = 100  # on which the policy is judged
    compared: bool = (
        True  # with the other two methods, one seed each; and the noise of the gradient is measured
    )

    scales = {
        "a2c": {
            "method": "a2c",
            "copies": 16,
            "horizon": 32,
            "trace": 0.97,
            "bonus": 0.01,
            "learning_rate": 7e-3,
            "compared": False,
        },
        "reinforce": {
            "method": "reinforce",
            "copies": 16,
            "learning_rate": 1e-2,
            "compared": False,
        },
        "full": {
            "environment": "LunarLander-v3",
            "copies": 16,
            "horizon": 512,
            "steps": 1_000_000,
            "discount": 0.999,
            "trace": 0.98,
            "bonus": 0.01,
            "unit": 30.0,
            "learning_rate": 1e-3,
            "compared": False,
        },
    }
    claims = [
        Claim("test/return", at_least=475, each=True, source="floor of the curriculum"),
        Claim("variance without V over with", at_least=2, source="Etude"),
        Claim("test/return", at_least=200, scale="full", source="Gymnasium: solved at 200"),
    ]
    courses = ["OU"]

    def __call__(self, run: Run) -> None:
        net = self.judge(run)
        panels = ("KL", "entropy", "explained variance", "clipped")
        run.figure(
            "diagnostics",
            diagnostics({name: over_steps(run.folder.curves(), name)[""] for name in panels}),
        )
        self.draw(run, net)
        run.keep(net)
        if self.compared:
            self.measure_noise(run)
            for method in ("a2c", "reinforce"):
                with run.part(method, seed=run.seed) as found:
                    PolicyGradient.at(method, environment=self.environment).judge(run)
                run.result(
                    {f"{method}/{name}": value for name, value in found.items()},
                    held_out=self.episodes,
                )
        lines = over_steps(run.folder.curves(), "episode/return")
        curves = {stage or self.method: [line] for stage, line in lines.items() if stage != "young"}
        run.figure(
            "returns", learning(curves, GOALS.get(self.environment), "return of the last episode")
        )

    def judge(self, run: Run) -> ActorCritic:
        """Train, and play whole episodes with the most probable actions."""
        net = self.train(run, self.steps)
        returns = evaluate(net.greedy, self.environment, self.episodes, run.device)
        run.result(
            {"test/return": returns.mean(), "test/worst": returns.min()}, held_out=self.episodes
        )
        return net

    def train(self, run: Run, steps: int, name: str | None = None) -> ActorCritic:
        """A network that has learned by the study's method."""
        envs = Environments(self.environment, self.copies, device=run.device)
        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, lambda _: max(0.0, 1 - envs.steps / steps))
        whole = self.method == "reinforce"

        for _ in run.steps(count(), state=(net, optimizer, schedule, envs), name=name):
            seen = play(net.sample, envs, None if whole else self.horizon)
            with torch.no_grad():
                before, values = (
                    net.log_policy(seen.observations[:-1]),
                    net.value(seen.observations),
                )
            rewards, base = (
                seen.rewards / self.unit,
                values if self.baseline else torch.zeros_like(values),
            )
            λ = 1.0 if whole else self.trace
            A = advantages(rewards, base, seen.terminated, seen.ended, self.discount, λ)  # (T, n)
            taken = (seen.observations[:-1], seen.actions, before, values[:-1], A, A + base[:-1])
            s, a, before, V, A, target = (
                t[seen.valid] for t in taken
            )  # a row that only restarted a copy is no step
            A = (A - A.mean() * self.baseline) / (A.std() + 1e-8)
            log_old = probability_of(before, a)

            for _ in range(self.epochs if self.method == "ppo" else 1):
                for rows in torch.split(
                    torch.randperm(len(s)), self.batch if self.method == "ppo" else len(s)
                ):
                    log_policy = net.log_policy(s[rows])  # (rows, actions)
                    log_new = probability_of(log_policy, a[rows])
                    if self.method == "ppo":
                        gain = clipped(log_new, log_old[rows], A[rows], self.clip)
                    else:
                        gain = log_new * A[rows]
                    critic = value_loss(net.value(s[rows]), V[rows], target[rows], self.clip_value)
                    loss = critic / 2 - gain.mean() - self.bonus * entropy(log_policy).mean()
                    run.minimise(loss, optimizer, clip=0.5)
                    run.log(loss=loss, **{"loss/value": critic})
            schedule.step()

            recent = (
                (seen.returns, seen.valid.sum(0)) if whole else (envs.last_return, envs.last_length)
            )
            for key, value in zip(("episode/return", "episode/length"), recent, strict=True):
                run.log(**{key: value.float().nanmean()})
            run.log(steps=envs.steps, **changes(before, net.log_policy(s), a, self.clip))
            run.log(**{"explained variance": explained_variance(V, target)})
            if envs.steps >= steps:
                break
        return net

    def measure_noise(self, run: Run) -> None:
        """Variance and bias of a young policy's gradient, by what is taken from the returns."""
        net = self.train(run, self.steps // 8, name="young")
        seen = play(net.sample, Environments(self.environment, 256, device=run.device))
        with torch.no_grad():
            V = net.value(seen.observations)

        def worth(V: Tensor, λ: float) -> Tensor:
            return (
                advantages(
                    seen.rewards / self.unit, V, seen.terminated, seen.ended, self.discount, λ
                )
                * seen.valid
            )

        estimates = {"returns less V: λ = 1": worth(V, 1.0), "returns alone": worth(0 * V, 1.0)}
        estimates |= {f"λ = {λ:g}": worth(V, λ) for λ in (0.99, 0.95, 0.9, 0.5, 0.0)}
        found = gradient_noise(
            net.log_policy, net.actor, seen.observations[:-1], seen.actions, estimates, 32
        )
        run.figure("noise", noises(found))
        run.result(
            {
                "variance without V over with": (
                    found["returns alone"][0] / found["returns less V: λ = 1"][0]
                )
            }
        )

    def draw(self, run: Run, net: ActorCritic) -> None:
        """One episode to look at, and what policy and value are around it."""
        shown = film(net.greedy, self.environment, run.device)
        states = shown.observations.to(run.device)
        V = net.value(states).detach()
        run.animation(
            "episode",
            filmed(shown.frames, {"$V(s)$": V, "came": shown.came(V, self.discount, self.unit)}),
        )

        def functions(s: Tensor) -> dict[str, Tensor]:
            names = [rf"$\pi$({name})" for name in action_names(self.environment)]
            policy = dict(zip(names, net.log_policy(s).exp().unbind(-1), strict=True))
            return {name: policy[name] for name in names[len(names) == 2 :]} | {"$V$": net.value(s)}

        if self.environment in ANGLES:
            labels = "angle in rad", "angular velocity in rad/s"
            run.figure(
                "maps", maps(functions, states, ANGLES[self.environment], labels), cover=True
            )

    def network(self) -> ActorCritic:
        """A new network for the environment's observations and actions."""
        inputs, actions = spaces(self.environment)
        return ActorCritic(inputs, self.hidden, actions)

    def example(self) -> Tensor:
        """Two observations."""
        return torch.randn(2, spaces(self.environment)[0])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the actions for one observation: numbers, or a text like ``0 0
        0.05 0``.
        """
        assert isinstance(net, ActorCritic)
        p = net.log_policy(observed(self.environment, input)).exp()[0]
        return dict(zip(action_names(self.environment), p.tolist(), strict=True))
