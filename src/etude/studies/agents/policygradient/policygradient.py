"""Policy gradients: REINFORCE, A2C and PPO learn to balance a pole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    training,
)
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import (
    GOALS,
    Environments,
    action_names,
    read_observation,
    spaces,
)
from etude.studies.agents._figures import learning_curves, over_steps
from etude.studies.agents._rollouts import Rollout, evaluate

from ._batch import Batch
from ._diagnostics import diagnostics, diagnostics_figure
from ._figures import draw_policy
from ._losses import advantages, entropy, value_loss
from ._noise import measure_noise
from .a2c import a2c
from .ppo import ppo
from .reinforce import reinforce


@dataclass
class PolicyGradient(Study[ActorCritic]):
    """Learn to act from rewards alone, by the gradient of the expected return."""

    environment: str = "CartPole-v1"  # in Gymnasium, with discrete actions and vector observations
    method: Literal["ppo", "a2c", "reinforce"] = "ppo"  # scales of these names have apt settings
    width: Count = 64  # units of each hidden layer
    layers: Natural = 2  # hidden layers, of the policy and of the value network alike
    copies: Count = 32  # environments that are stepped together
    horizon: Count = 64  # steps of each copy in a rollout; REINFORCE plays whole episodes
    environment_steps: Count = 100_000  # steps of all copies together
    rollout_epochs: Count = 8  # passes of PPO over a rollout
    batch: Count = 512  # steps in each minibatch of PPO
    discount: Fraction = 0.99  # γ, the weight of a reward one step later
    gae_lambda: Fraction = 0.95  # λ of the generalised advantages; REINFORCE has λ = 1
    baseline: bool = True  # V(s) is subtracted from the returns
    clip_ratio: Positive = 0.2  # ε of PPO, the clip of the ratio of probabilities
    clip_value: Amount = 0.0  # the same for an update of V; 0: no clip
    value_weight: Amount = 0.5  # weight of the value network's loss
    entropy_bonus: Amount = 0.0  # weight of the policy's entropy, which is raised
    reward_scale: Positive = 1.0  # what rewards are divided by
    gradient_clip: Positive = 0.5  # the largest norm of the gradient
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 3e-3  # initial learning rate; falls to zero in a straight line
    episodes: Count = 100  # episodes on which the policy is judged
    compared: bool = True  # whether the other methods and the gradient's noise are measured, too

    scales = {
        "a2c": {
            "method": "a2c",
            "copies": 16,
            "horizon": 32,
            "gae_lambda": 0.97,
            "entropy_bonus": 0.01,
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
            "environment_steps": 1_000_000,
            "discount": 0.999,
            "gae_lambda": 0.98,
            "entropy_bonus": 0.01,
            "reward_scale": 30.0,
            "learning_rate": 1e-3,
            "compared": False,
        },
    }
    claims = [
        Claim("test/return", at_least=475, each=True, source="Gymnasium: solved"),
        Claim("largest KL", at_most=0.05, each=True, source="Etude"),
        Control("no clip/largest KL", at_least=0.5, of="largest KL", without="the clip"),
        Claim("variance with a constant over with V", at_least=1.2, source="Etude"),
        Claim("test/return", at_least=200, scale="full", source="Gymnasium: solved at 200"),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        net = self.train_and_evaluate(run)
        run.figure("diagnostics", diagnostics_figure(run.curves()))
        draw_policy(run, net, self.environment, self.discount, self.reward_scale)
        run.keep(net)

        if self.compared:
            self.measure_noise(run)
            methods = ("a2c", "reinforce")
            others = {m: PolicyGradient.at(m, environment=self.environment) for m in methods}
            others["no clip"] = replace(self, clip_ratio=1e9)
            for method, other in others.items():
                with run.part(method, seed=run.seed) as metrics:
                    other.train_and_evaluate(run)
                metrics = {f"{method}/{name}": value for name, value in metrics.items()}
                run.result(metrics, held_out=self.episodes)

        logged = run.curves()
        for stage, (_, values) in logged["KL"].items():
            if stage in ("", "no clip"):
                run.result({f"{stage}/largest KL".lstrip("/"): max(values)})
        curves = over_steps(logged, "episode/return")
        curves.pop("young", None)
        curves = {stage or self.method: series for stage, series in curves.items()}
        goal = GOALS.get(self.environment)
        run.figure("returns", learning_curves(curves, goal, "return of the last episode"))

    def train_and_evaluate(self, run: Run) -> ActorCritic:
        """Train a policy, and play whole episodes by its most probable actions."""
        net = self.train(run, self.environment_steps)
        returns = evaluate(net.greedy, self.environment, self.episodes, run.device)
        metrics = {"test/return": returns.mean(), "test/worst": returns.min()}
        run.result(metrics, held_out=self.episodes)
        return net

    def train(self, run: Run, steps: int, name: str | None = None) -> ActorCritic:
        """Learn by the study's method until so many steps were played."""
        envs = Environments(self.environment, self.copies, device=run.device)
        net = run.place(self.network())
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, lambda _: max(0.0, 1 - envs.steps / steps))
        iterate = {"ppo": ppo, "a2c": a2c, "reinforce": reinforce}[self.method]

        for _ in run.steps(count(), state=(net, optimizer, schedule, envs), name=name):
            batch = iterate(self, run, net, optimizer, envs)
            schedule.step()
            run.log(steps=envs.steps, **diagnostics(net, batch, envs, self.clip_ratio))
            if envs.steps >= steps:
                break
        return net

    @torch.no_grad()
    def batch_of(self, net: ActorCritic, rollout: Rollout, λ: float) -> Batch:
        """The transitions of a rollout, with their advantages and the targets of the values."""
        observations = rollout.observations[:-1]  # (T, n, numbers)
        log_policy = net.log_policy(observations)  # (T, n, actions)
        V = net.value(rollout.observations)  # (T + 1, n)
        rewards = rollout.rewards / self.reward_scale
        base = V if self.baseline else torch.zeros_like(V)
        A = advantages(rewards, base, rollout.terminated, rollout.ended, self.discount, λ)

        whole = Batch(observations, rollout.actions, log_policy, V[:-1], A, A + base[:-1])
        batch = whole[rollout.valid]  # a row that only restarted a copy is no transition
        A = batch.advantages
        centre = A.mean() if self.baseline else 0.0
        batch.advantages = (A - centre) / (A.std() + 1e-8)
        return batch

    def losses(
        self, net: ActorCritic, steps: Batch, log_policy: Tensor, objective: Tensor
    ) -> dict[str, Tensor]:
        """The loss, and V's part of it: the objective and the entropy are to be raised; scalars."""
        values = net.value(steps.observations)
        error = value_loss(values, steps.values, steps.targets, self.clip_value)
        bonus = self.entropy_bonus * entropy(log_policy).mean()
        loss = self.value_weight * error - objective.mean() - bonus
        return {"loss": loss, "loss/value": error}

    def measure_noise(self, run: Run) -> None:
        """Variance and bias of a young policy's gradient, by what is taken from the returns."""
        net = self.train(run, self.environment_steps // 8, name="young")
        measure_noise(run, net, self.environment, self.discount, self.reward_scale)

    def network(self) -> ActorCritic:
        """A new network for the environment's observations and actions."""
        inputs, actions = spaces(self.environment)
        return ActorCritic(inputs, [self.width] * self.layers, actions)

    def predict(self, net: ActorCritic, input: Any) -> Mapping[str, float]:
        """Probabilities of the actions for one observation: numbers, or ``0 0 0.05 0``."""
        observation = read_observation(self.environment, input)
        p = net.log_policy(observation).exp()[0]
        return dict(zip(action_names(self.environment), p.tolist(), strict=True))

    def example(self) -> Tensor:
        """A batch for export and tests: two observations, (2, numbers)."""
        return torch.randn(2, spaces(self.environment)[0])
