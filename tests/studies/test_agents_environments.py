"""Environments: they restart by themselves, say which steps are real, and go on exactly after they
were saved.
"""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import torch

from etude.errors import UserError
from etude.runs.checkpoints import _content
from etude.runs.plain import pack, unpack
from etude.studies.agents._environments import (
    Environments,
    action_names,
    read_observation,
    spaces,
)
from etude.studies.agents._film import Episode, film
from etude.studies.agents._gymnasium import ArrayCopies, ObjectCopies
from etude.studies.agents._rollouts import evaluate, play, play_episodes

pytest.importorskip("gymnasium")
pytest.importorskip("Box2D")


def at_random(observation: torch.Tensor) -> torch.Tensor:
    return torch.randint(2, (len(observation),))


def saved(envs: Environments):
    """The state as it comes back from a checkpoint."""
    return unpack(
        torch.load(io.BytesIO(_content(pack(envs.state_dict(), "envs"))), weights_only=True)
    )


@pytest.mark.parametrize(
    ("name", "steps"), [("CartPole-v1", 60), ("LunarLander-v3", 160), ("Acrobot-v1", 30)]
)
def test_saved_and_loaded_it_goes_on_alike(name, steps) -> None:
    envs = Environments(name, 3, seed=5, longest=steps - 20)
    torch.manual_seed(0)
    play(at_random, envs, steps)
    state = saved(envs)
    other = Environments(name, 3, seed=6, longest=steps - 20)
    play(at_random, other, 7)
    other.load_state_dict(state)
    assert torch.equal(other.observation, envs.observation)
    torch.manual_seed(1)
    expected = play(at_random, envs, steps)
    torch.manual_seed(1)
    found = play(at_random, other, steps)
    for key, value in vars(expected).items():
        assert torch.equal(value, getattr(found, key)), key
    assert expected.ended.any(), "restarts are among the steps"
    assert envs.steps == other.steps
    assert torch.equal(envs.last_return, other.last_return)
    assert saved(envs)["copies"].keys() == saved(other)["copies"].keys()


def test_a_state_that_is_not_its_own_is_noticed() -> None:
    envs = Environments("LunarLander-v3", 2, seed=5)
    play(at_random, envs, 5)
    state = saved(envs)
    state["observation"] = state["observation"] + 1
    with pytest.raises(RuntimeError, match="LunarLander-v3 does not show again what it showed"):
        envs.load_state_dict(state)


@pytest.mark.parametrize("name", ["CartPole-v1", "LunarLander-v3"])
def test_a_copy_restarts_one_step_after_its_episode(name) -> None:
    torch.manual_seed(0)
    envs = Environments(name, 4, seed=1, longest=30)
    seen = play(at_random, envs, 200)
    assert seen.observations.shape[:2] == (201, 4)
    restarts = torch.cat([torch.zeros(1, 4, dtype=torch.bool), seen.ended[:-1]])
    assert torch.equal(seen.valid, ~restarts)
    assert not seen.rewards[~seen.valid].any()
    assert not seen.ended[~seen.valid].any()
    assert int(seen.valid.sum()) == envs.steps
    if name == "CartPole-v1":
        first, last = seen.observations[1:][~seen.valid], seen.observations[:-1][~seen.valid]
        assert (first.abs() <= 0.05).all(), "a new episode begins near the middle"
        fallen = (last[:, 2].abs() > 0.2094) | (last[:, 0].abs() > 2.4)
        assert torch.equal(fallen, seen.terminated[:-1][~seen.valid[1:]]), (
            "the last state of an episode is shown"
        )


def test_time_that_is_up_is_no_termination() -> None:
    envs = Environments("CartPole-v1", 5, seed=0, longest=4)
    seen = play(at_random, envs, 12)
    assert torch.equal(seen.truncated.nonzero()[:, 0].unique(), torch.tensor([3, 8]))
    assert not seen.terminated.any()
    assert (envs.last_return == 4).all()
    assert (envs.last_length == 4).all()


def test_arrays_and_objects_are_the_same_physics() -> None:
    arrays = ArrayCopies("CartPole-v1", 2, 0, 500)
    objects = ObjectCopies("CartPole-v1", 2, 0, 500)
    arrays.reset()
    objects.reset()
    for k, env in enumerate(objects.envs):
        env.unwrapped.state = arrays.envs.state[:, k].copy()
    none = torch.zeros(2, dtype=torch.bool).numpy()
    for _ in range(8):
        actions = torch.randint(2, (2,)).numpy()
        a, b = arrays.step(actions, none), objects.step(actions, none)
        assert a[0] == pytest.approx(b[0], abs=1e-6)
        assert (a[2] == b[2]).all()


def test_whole_episodes_are_counted_once() -> None:
    torch.manual_seed(0)
    envs = Environments("CartPole-v1", 6, seed=3)
    play(at_random, envs, 5)
    before = envs.steps
    seen = play_episodes(at_random, envs)
    lengths = seen.valid.sum(0)
    assert torch.equal(seen.returns, lengths.float())
    assert torch.equal(seen.ended.float().argmax(0) + 1, lengths), "from the reset to the first end"
    assert len(seen.rewards) == lengths.max()
    assert envs.steps == before + int(lengths.sum())


def test_returns_of_an_evaluation_are_of_whole_episodes_and_new_each_time() -> None:
    torch.manual_seed(0)
    first, second = (evaluate(lambda x: (x[:, 2] > 0).long(), "CartPole-v1", 20) for _ in range(2))
    assert first.shape == (20,)
    assert 25 < first.mean() < 70, "to push where the pole leans keeps it up for some 40 steps"
    assert not torch.equal(first, second)


def test_a_film_has_a_picture_for_each_state() -> None:
    torch.manual_seed(0)
    shown = film(at_random, "CartPole-v1")
    steps = len(shown.rewards)
    assert len(shown.observations) == steps + 1
    assert [*shown.frames] == [*range(steps + 1)]
    assert shown.frames[0].shape == (400, 600, 3)
    assert shown.frames[0].std() > 0
    assert shown.terminated
    came = shown.discounted_returns(torch.full((steps + 1,), 99.0), 0.5)
    assert came[-1] == 1
    assert came[-2] == 1.5
    shown.terminated = False
    assert shown.discounted_returns(torch.full((steps + 1,), 99.0), 0.5)[-1] == 1 + 0.5 * 99


@pytest.mark.parametrize("name", ["CartPole-v1", "LunarLander-v3", "Acrobot-v1"])
def test_a_film_of_few_pictures_shows_the_same_episode(name: str) -> None:
    def film_of(most: int) -> Episode:
        torch.manual_seed(0)
        return film(at_random, name, most=most)

    few, all_of_them = film_of(5), film_of(10_000)
    steps = len(few.rewards)
    assert torch.equal(few.observations, all_of_them.observations)
    assert [*few.frames] == [round(k * steps / 4) for k in range(5)]
    assert [*all_of_them.frames] == [*range(steps + 1)]
    for step, picture in few.frames.items():
        assert np.array_equal(picture, all_of_them.frames[step])
    assert not np.array_equal(few.frames[0], few.frames[steps])


def test_what_a_user_can_get_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="gymnasium has no environment 'Cartpole-v1': .*CartPole"):
        Environments("Cartpole-v1", 2)
    with pytest.raises(UserError, match="actions of Pendulum-v1 are continuous"):
        spaces("Pendulum-v1")
    assert spaces("CartPole-v1") == (4, 2)
    assert action_names("Acrobot-v1") == ("0", "1", "2")
    assert torch.equal(read_observation("CartPole-v1", "0, 1 2 3"), torch.tensor([[0.0, 1, 2, 3]]))
    with pytest.raises(
        UserError, match=r"the input is \[1, 2\]; expected 4 numbers: an observation of CartPole-v1"
    ):
        read_observation("CartPole-v1", [1, 2])
    with pytest.raises(UserError, match="the input is 'a b c d'; expected 4 numbers"):
        read_observation("CartPole-v1", "a b c d")
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UserError, match=r"environments need gymnasium: pip install 'etude\[rl\]'"):
        Environments("CartPole-v1", 2)
