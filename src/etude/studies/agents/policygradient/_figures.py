"""Pictures of a policy: an episode, and what it does where."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from etude import Run
from etude.networks.actor_critic import ActorCritic
from etude.studies.agents._environments import ANGLES, action_names
from etude.studies.agents._figures import angle_maps
from etude.studies.agents._film import animate, film


def draw_policy(
    run: Run, net: ActorCritic, environment: str, discount: float, reward_scale: float
) -> None:
    """One episode in motion with V and the observed returns; and maps of policy and value."""
    episode = film(net.greedy, environment, run.device)
    states = episode.observations.to(run.device)
    V = net.value(states).detach()
    returns = episode.discounted_returns(V, discount, reward_scale)
    run.animation("episode", animate(episode.frames, {"$V(s)$": V, "return": returns}))
    if environment in ANGLES:
        functions = partial(policy_and_value, net, action_names(environment))
        run.figure("maps", angle_maps(functions, states, environment), cover=True)


def policy_and_value(net: ActorCritic, actions: Sequence[str], s: Tensor) -> dict[str, Tensor]:
    """Functions of the state to be drawn: the probabilities of the actions, and V; (…) each.

    Of two actions only the second is given, since its probability is 1 less that of the first.

    Args:
        net: policy and value.
        actions: their names.
        s: the states, (…, numbers).
    """
    probabilities = net.log_policy(s).exp()  # (…, actions)
    chosen = range(1 if len(actions) == 2 else 0, len(actions))
    panels = {rf"$\pi$({actions[k]})": probabilities[..., k] for k in chosen}
    return panels | {"$V$": net.value(s)}
