"""Deep Q-learning: a network learns what each action is worth."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    training,
)
from etude.demos import Demo
from etude.networks.q import QNetwork
from etude.studies.agents._environments import (
    ANGLES,
    GOALS,
    Environments,
    action_names,
    read_observation,
    spaces,
)
from etude.studies.agents._figures import angle_maps, learning_curves, over_steps
from etude.studies.agents._film import animate, film
from etude.studies.agents._rollouts import discounted_returns, evaluate, play_episodes

from ._controls import without_target_network
from ._demo import balancing_demo
from ._figures import estimates_and_returns
from ._replay import Replay


@dataclass
class DeepQ(Study):
    """Learn action values from replayed transitions, and act by the highest."""

    environment: str = "CartPole-v1"  # in Gymnasium, with discrete actions and vector observations
    width: Count = 128  # units of each hidden layer
    layers: Natural = 2  # hidden layers
    dueling: bool = True  # a state's value and advantages in two heads, rather than Q alone
    double: bool = True  # one network chooses the next action, the other gives its value
    priority: Fraction = 0.0  # α, how far errors decide which transitions are drawn; 0: not at all
    priority_correction: Fraction = 0.4  # β of the importance weights at first; it rises to 1
    n_step: Count = 5  # n, rewards in a target before the target network's estimate
    copies: Count = 32  # environments that are stepped together
    steps: Count = 4_000  # steps of each environment, and of gradient descent
    random_steps: Natural = 64  # steps of each environment with random actions, before learning
    memory: Count = 50_000  # transitions that the replay keeps
    batch: Count = 256  # transitions per step
    discount: Fraction = 0.99  # γ, the weight of a reward one step later
    reward_scale: Positive = 100.0  # what rewards are divided by
    final_epsilon: Fraction = 0.05  # ε falls from 1 to this during the first 15 % of the steps
    target_rate: Fraction = 0.05  # τ, the fraction by which the target network follows per step
    gradient_clip: Positive = 10.0  # the largest norm of the gradient
    optimizer: OptimizerName = "adam"  # the update rule; change learning_rate with it
    learning_rate: Positive = 1e-3  # initial learning rate; falls linearly to a fiftieth
    episodes: Count = 100  # episodes to choose the best network, and as many new ones to judge it

    claims = [
        Claim("test/return", at_least=475, each=True, source="Gymnasium: solved"),
        Claim("target network/mean Q", at_most=300, source="Etude"),
        Control(
            "no target network/mean Q",
            at_least=10_000,
            source="Etude: no return is above 100",
            of="target network/mean Q",
            without="a target network",
        ),
    ]
    needs = ["spirals"]

    def __call__(self, run: Run) -> None:
        names = ("double", "plain") if self.double else ("plain", "double")
        net = self.train_and_evaluate(run)
        pairs = {names[0]: self.returns_and_estimates(run, net)}

        # The other kind of target, from the same seed; its results get its name before them.
        other = replace(self, double=not self.double)
        with run.part(names[1], seed=run.seed) as metrics:
            pairs[names[1]] = other.returns_and_estimates(run, other.train_and_evaluate(run))
        metrics = {f"{names[1]}/{name}": value for name, value in metrics.items()}
        run.result(metrics, held_out=self.episodes)

        rows = []
        for name, (returns, estimates) in pairs.items():
            seen, q = float(returns.mean()), float(estimates.mean())
            rows.append([name, seen, q, q - seen])
        run.table("overestimation", ["targets", "mean return", "mean Q", "overestimation"], rows)
        run.figure("values", estimates_and_returns(pairs))

        logged = run.curves()
        curves = {"exploring": over_steps(logged, "episode/return")[""]}  # "": of the first network
        curves["greedy"] = over_steps(logged, "validation/return")[""]
        run.figure("returns", learning_curves(curves, GOALS.get(self.environment)))
        self.draw(run, net)
        without_target_network(run, self)
        run.keep(net)

    def train_and_evaluate(self, run: Run) -> QNetwork:
        """Train a network, and play whole episodes by its highest Q."""
        net = self.train(run)
        score = evaluate(net.greedy, self.environment, self.episodes, run.device)
        run.result({"test/return": score.mean(), "test/worst": score.min()}, held_out=self.episodes)
        return net

    def train(self, run: Run) -> QNetwork:
        """Learn, and return the network that was best on separate episodes."""
        envs = Environments(self.environment, self.copies, device=run.device)
        replay = Replay(self.memory, self.n_step, self.discount, self.priority)

        net = run.place(self.network())
        target = deepcopy(net)
        best = training.Best(net)
        optimizer = training.descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, training.one_cycle(self.steps, warmup=0, start=1, end=0.02))

        for _ in range(self.random_steps + self.n_step):
            act(net, envs, replay, ε=1.0)

        state = (net, target, best, optimizer, schedule, envs, replay)
        for _ in run.steps(range(self.steps), state=state):
            ε = max(self.final_epsilon, 1 - (1 - self.final_epsilon) * run.progress / 0.15)
            β = self.priority_correction + (1 - self.priority_correction) * run.progress
            act(net, envs, replay, ε)

            s = replay.sample(self.batch, β)
            y = self.targets(net, target, s.reward, s.discount, s.reached)  # (batch,)
            q = net(s.observation).gather(1, s.action[:, None]).squeeze(1)  # (batch,)
            loss = (s.weight * smooth_l1_loss(q, y, reduction="none")).mean()
            run.minimise(loss, optimizer, schedule, clip=self.gradient_clip)

            replay.update(s.rows, y - q)
            move_towards(target, net, self.target_rate)
            run.log(loss=loss, Q=self.reward_scale * q.mean(), steps=envs.steps, exploring=ε)

            if run.every(max(1, self.steps // 25)):
                returns = evaluate(net.greedy, self.environment, self.episodes, run.device)
                best.update(float(returns.mean()) + 1e-3 * run.progress)  # the latest of equals
                run.log(**{"validation/return": returns.mean()})
                run.log(**{"episode/return": envs.last_return.nanmean()})
                run.log(**{"episode/length": envs.last_length.nanmean()})
        best.restore()
        return net

    @torch.no_grad()
    def targets(
        self, net: QNetwork, target: QNetwork, reward: Tensor, discount: Tensor, reached: Tensor
    ) -> Tensor:
        """The target y of Q: rewards of up to n steps, and the value of what follows; (batch,).

        Args:
            net: the network that learns.
            target: the target network.
            reward: the discounted sum of m ≤ n steps' rewards, (batch,).
            discount: γᵐ, (batch,); 0 where the episode terminated.
            reached: the observations after m steps, (batch, …).
        """
        q: Tensor = target(reached)  # (batch, actions)
        best = (net(reached) if self.double else q).argmax(1, keepdim=True)
        return reward / self.reward_scale + discount * q.gather(1, best).squeeze(1)

    def returns_and_estimates(self, run: Run, net: QNetwork) -> tuple[Tensor, Tensor]:
        """Discounted returns that were observed, and Q's estimates of them; (steps,) each.

        Episodes may last twice as long as in training, and only their first halves are counted. So
        what is cut off at the end of an episode that would go on is at most γ^500 of a return: for
        the steps right before the middle 0.7 of 100, and 0.13 on average.
        """
        longest = 2 * Environments(self.environment, 1).longest
        envs = Environments(self.environment, 20, device=run.device, longest=longest)
        rollout = play_episodes(net.greedy, envs)
        no_values = torch.zeros_like(rollout.observations[..., 0])  # (T + 1, n): nothing is added
        returns = discounted_returns(
            rollout.rewards, no_values, rollout.terminated, rollout.ended, self.discount
        )
        with torch.no_grad():
            q = self.reward_scale * net(rollout.observations[:-1]).amax(-1)  # (T, n)

        counted = rollout.valid.clone()
        counted[longest // 2 :] = False
        return returns[counted], q[counted]

    def draw(self, run: Run, net: QNetwork) -> None:
        """An episode in motion, and Q around it."""
        episode = film(net.greedy, self.environment, run.device)
        states = episode.observations.to(run.device)
        with torch.no_grad():
            q = self.reward_scale * net(states).amax(1)
        returns = episode.discounted_returns(q, self.discount)
        run.animation("episode", animate(episode.frames, {"$Q$": q, "return": returns}))

        def functions(s: Tensor) -> dict[str, Tensor]:
            q = self.reward_scale * net(s)
            names = action_names(self.environment)
            if len(names) == 2:
                difference = f"$Q$({names[1]}) − $Q$({names[0]})"
                return {difference: q[..., 1] - q[..., 0], "max $Q$": q.amax(-1)}
            return {f"$Q$({name})": q[..., k] for k, name in enumerate(names)}

        if self.environment in ANGLES:
            run.figure("maps", angle_maps(functions, states, self.environment), cover=True)

    def network(self) -> QNetwork:
        """A new network: from the environment's observations to Q of its actions."""
        inputs, actions = spaces(self.environment)
        return QNetwork(inputs, [self.width] * self.layers, actions, dueling=self.dueling)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Q of the actions for one observation: numbers, or a text like ``0 0 0.05 0``."""
        q = self.reward_scale * net(read_observation(self.environment, input))[0]
        return dict(zip(action_names(self.environment), q.tolist(), strict=True))

    def example(self) -> Tensor:
        """A batch for export and tests: two observations, (2, numbers)."""
        return torch.randn(2, spaces(self.environment)[0])

    def demo(self) -> Demo:
        """Balance a pole by a rule of one's own choice, against the agent."""
        if self.environment != "CartPole-v1":
            raise UserError(
                f"dqn: this agent has learned {self.environment}; the demo needs one of CartPole-v1"
            )
        return balancing_demo(self.reward_scale, self.discount)


def act(net: nn.Module, envs: Environments, replay: Replay, ε: float) -> None:
    """One step of all environments, kept in the replay."""
    observation = envs.observation
    action = epsilon_greedy(net, observation, ε)
    replay.add(observation, action, envs.step(action))


@torch.no_grad()
def epsilon_greedy(net: nn.Module, observation: Tensor, ε: float) -> Tensor:
    """The action of the highest Q, or with probability ε any action: (n, …) → (n,)."""
    q: Tensor = net(observation)  # (n, actions)
    anything = torch.randint(q.shape[1], (len(q),), device=q.device)
    explores = torch.rand(len(q), device=q.device) < ε
    return torch.where(explores, anything, q.argmax(1))


@torch.no_grad()
def move_towards(target: nn.Module, net: nn.Module, τ: float) -> None:
    r"""Move the target network a fraction τ of the way: $\theta^- + \tau (\theta - \theta^-)$."""
    torch._foreach_lerp_(list(target.parameters()), list(net.parameters()), τ)
