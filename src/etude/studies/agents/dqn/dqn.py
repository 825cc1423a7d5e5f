"""Deep Q-learning: a network learns what each action is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss
from torch.optim.lr_scheduler import LambdaLR

from etude.claims import Claim
from etude.demos import Answer, Bars, Choice, Controls, Demo, Said, Slider
from etude.errors import UserError
from etude.figures.control import against, filmed, learning, maps, over_steps
from etude.networks.q import QNetwork
from etude.runs.run import Run
from etude.study import Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.balancing import RULES, contest
from etude.training.best import Best
from etude.training.environments import Environments, evaluate, film, play, spaces
from etude.training.optimizers import descent
from etude.training.replay import Replay, explored, follow
from etude.training.returns import advantages
from etude.training.schedules import one_cycle
from etude.training.tasks import ANGLES, GOALS, action_names, observed


@dataclass
class DeepQ(Study):
    """Learn action values from replayed steps, and act by the highest."""

    environment: str = "CartPole-v1"  # any of Gymnasium's with a choice of actions
    hidden: tuple[Count, ...] = (128, 128)  # units of each hidden layer
    dueling: bool = True  # a value and advantages, rather than Q alone
    double: bool = True  # one network chooses the next action, the other says what it is worth
    priority: Fraction = (
        0.0  # α: how far a row's error decides how often it is drawn; 0: not at all
    )
    correction: Fraction = 0.4  # β at first, 1 at the end
    lookahead: Count = 5  # n, steps until a target relies on the network
    copies: Count = 32  # environments that are stepped together
    steps: Count = 4_000  # of each of them, and of gradient descent
    before: Natural = 64  # steps of each with random actions, before learning
    memory: Count = 50_000  # transitions that are kept
    batch: Count = 256  # rows a step
    discount: Fraction = 0.99  # γ, of rewards a step later
    unit: Positive = 100.0  # of rewards: they are divided by it
    explore: Fraction = 0.05  # ε after 15 % of the steps; it begins at 1
    follow: Fraction = 0.05  # τ, how much of the way the target network goes each step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 1e-3  # at first; falls in a straight line to a fiftieth
    episodes: Count = (
        100  # on which the best network is chosen, and as many new ones on which it is judged
    )

    claims = [Claim("test/return", at_least=475, each=True, source="floor of the curriculum")]
    courses = ["OU", "ITU"]

    def __call__(self, run: Run) -> None:
        names = ("double", "plain") if self.double else ("plain", "double")
        net = self.judge(run)
        pairs = {names[0]: self.said(run, net)}
        other = replace(self, double=not self.double)
        with run.part(names[1], seed=run.seed) as found:
            pairs[names[1]] = other.said(run, other.judge(run))
        run.result(
            {f"{names[1]}/{name}": value for name, value in found.items()}, held_out=self.episodes
        )
        means = {name: (float(true.mean()), float(q.mean())) for name, (true, q) in pairs.items()}
        rows = [[name, came, q, q - came] for name, (came, q) in means.items()]
        run.table("overestimation", ["targets", "what came", "Q said", "too much"], rows)
        some = {
            name: (true[:: len(true) // 2_000 + 1], q[:: len(q) // 2_000 + 1])
            for name, (true, q) in pairs.items()
        }
        run.figure("values", against(some, "discounted return that came", "$Q$"))
        played, greedy = (
            over_steps(run.folder.curves(), name)[""]
            for name in ("episode/return", "validation/return")
        )
        run.figure(
            "returns",
            learning({"exploring": [played], "greedy": [greedy]}, GOALS.get(self.environment)),
        )
        self.draw(run, net)
        run.keep(net)

    def judge(self, run: Run) -> QNetwork:
        """Train, and play whole episodes without exploring."""
        net = self.train(run)
        returns = evaluate(net.greedy, self.environment, self.episodes, run.device)
        run.result(
            {"test/return": returns.mean(), "test/worst": returns.min()}, held_out=self.episodes
        )
        return net

    def train(self, run: Run) -> QNetwork:
        """The network that was best on separate episodes."""
        envs = Environments(self.environment, self.copies, device=run.device)
        replay = Replay(self.memory, self.lookahead, self.discount, self.priority)
        net = run.place(self.network())
        target, best = deepcopy(net), Best(net)
        optimizer = descent(self.optimizer, net, self.learning_rate)
        schedule = LambdaLR(optimizer, one_cycle(self.steps, warmup=0, start=1, end=0.02))
        for _ in range(self.before + self.lookahead):
            seen, action = envs.observation, explored(net, envs.observation, 1.0)
            replay.add(seen, action, envs.step(action))

        for _ in run.steps(
            range(self.steps), state=(net, target, best, optimizer, schedule, envs, replay)
        ):
            ε = max(self.explore, 1 - (1 - self.explore) * run.progress / 0.15)
            seen, action = envs.observation, explored(net, envs.observation, ε)
            replay.add(seen, action, envs.step(action))

            s = replay.sample(self.batch, self.correction + (1 - self.correction) * run.progress)
            with torch.no_grad():
                later = target(s.reached)  # (batch, actions)
                chosen = (net(s.reached) if self.double else later).argmax(1, keepdim=True)
                y = s.reward / self.unit + s.discount * later.gather(1, chosen).squeeze(1)
            q = net(s.observation).gather(1, s.action[:, None]).squeeze(1)
            loss = (s.weight * smooth_l1_loss(q, y, reduction="none")).mean()
            run.minimise(loss, optimizer, schedule, clip=10.0)
            replay.update(s.rows, y - q)
            follow(target, net, self.follow)
            run.log(loss=loss, Q=self.unit * q.mean(), steps=envs.steps, exploring=ε)
            if run.every(max(1, self.steps // 25)):
                valid = evaluate(net.greedy, self.environment, self.episodes, run.device).mean()
                best.update(
                    float(valid) + 1e-3 * run.progress
                )  # of equal ones the last, whose Q is the ripest
                run.log(
                    **{"validation/return": valid, "episode/return": envs.last_return.nanmean()}
                )
                run.log(**{"episode/length": envs.last_length.nanmean()})
        best.restore()
        return net

    def said(self, run: Run, net: QNetwork) -> tuple[Tensor, Tensor]:
        """The discounted return that came, and what Q had said, (rows,) each.

        Episodes may last twice as long as in training, and their first halves are counted: so what
        comes after the last step is too far away to matter.
        """
        longest = 2 * Environments(self.environment, 1).longest
        envs = Environments(self.environment, 20, device=run.device, longest=longest)
        seen = play(net.greedy, envs)
        nothing = torch.zeros_like(seen.observations[..., 0])
        came = advantages(seen.rewards, nothing, seen.terminated, seen.ended, self.discount, 1.0)
        with torch.no_grad():
            q = self.unit * net(seen.observations[:-1]).amax(-1)
        half = seen.valid[: longest // 2]
        return came[: longest // 2][half], q[: longest // 2][half]

    def draw(self, run: Run, net: QNetwork) -> None:
        """One episode to look at, and what Q is around it."""
        shown = film(net.greedy, self.environment, run.device)
        states = shown.observations.to(run.device)
        with torch.no_grad():
            q = self.unit * net(states).amax(1)
        run.animation(
            "episode", filmed(shown.frames, {"$Q$": q, "came": shown.came(q, self.discount)})
        )

        def functions(s: Tensor) -> dict[str, Tensor]:
            q, names = self.unit * net(s), action_names(self.environment)
            if len(names) == 2:
                return {
                    f"$Q$({names[1]}) − $Q$({names[0]})": q[..., 1] - q[..., 0],
                    "max $Q$": q.amax(-1),
                }
            return {f"$Q$({name})": each for name, each in zip(names, q.unbind(-1), strict=True)}

        if self.environment in ANGLES:
            labels = "angle in rad", "angular velocity in rad/s"
            run.figure(
                "maps", maps(functions, states, ANGLES[self.environment], labels), cover=True
            )

    def network(self) -> QNetwork:
        """A new network for the environment's observations and actions."""
        inputs, actions = spaces(self.environment)
        return QNetwork(inputs, self.hidden, actions, dueling=self.dueling)

    def example(self) -> Tensor:
        """Two observations."""
        return torch.randn(2, spaces(self.environment)[0])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Q of the actions for one observation: numbers, or a text like ``0 0 0.05 0``."""
        q = self.unit * net(observed(self.environment, input))[0]
        return dict(zip(action_names(self.environment), q.tolist(), strict=True))

    def demo(self) -> Demo:
        """Balance a pole by a rule of one's own choice, against the agent."""
        if self.environment != "CartPole-v1":
            raise UserError(
                f"dqn: this agent has learned {self.environment}; the demo needs one of CartPole-v1"
            )
        inputs: Controls = {
            "rule": Choice("Your rule", [*RULES], "push to where it leans"),
            "angle": Slider("The pole's angle at first, in degrees", -11.0, 11.0, 3.0, 0.5),
            "velocity": Slider("Its velocity at first, in degrees a second", -90.0, 90.0, 0.0, 5.0),
            "push": Slider(
                "A push in newtons (the agent has learned with 10)", 1.0, 30.0, 10.0, 0.5
            ),
        }
        guesses = ["mine", "the agent's", "both all of ten seconds", "alike, but less"]
        return Demo(
            "Whose pole stands longer, by your rule or the agent's Q?",
            inputs,
            self.play,
            guesses,
            live=False,
        )

    def play(
        self, net: nn.Module, rule: str, angle: float, velocity: float, push: float
    ) -> Iterator[Answer]:
        """Both carts, side by side; how long each pole stood; what the agent had hoped for at
        first.
        """
        most = 1 / (1 - self.discount)  # if no pole ever fell
        frames, agent, you = contest(
            lambda s: self.unit * net(s), rule, angle, velocity, push, most
        )
        yield frames
        yield Said(
            "",
            f"The agent's pole stood for {agent / 50:.1f} s, yours for {you / 50:.1f} s, of 10.0 s"
            " at most.",
        )
        first = self.predict(net, [0.0, 0.0, math.radians(angle), math.radians(velocity)])
        yield Bars(
            f"Q at first, as a part of {most:g}", {name: q / most for name, q in first.items()}
        )
