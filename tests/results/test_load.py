from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import etude
import tiny
from etude import UserError
from etude.results.load import Trained, load

INPUT = "1 -2 0.5 0.25"


def same_weights(trained: Trained, run: Path) -> bool:
    ours, kept = trained.network.state_dict(), load_file(run / "network.safetensors")
    assert len(kept) == 6
    return ours.keys() == kept.keys() and all(torch.equal(ours[key], kept[key]) for key in kept)


def test_a_run_is_loaded_by_folder_name_beginning_and_study(run: Path) -> None:
    for given in (run, str(run), f"tiny/{run.name}", run.name, run.name[:-2], "tiny"):
        trained = load(given)
        assert same_weights(trained, run)
        assert trained.study.hidden == 5
        assert trained.study.more == (8,)
        assert trained.folder
        assert trained.folder.path.samefile(run)


def test_a_run_in_hand_is_loaded(place: Path) -> None:
    run = tiny.run(place / "tiny.py", place / "runs", seed=1)
    assert same_weights(etude.load(run), run.folder.path)


def test_prediction_is_that_of_the_network_in_evaluation(run: Path) -> None:
    trained = load(run)
    assert not trained.network.training
    trained.network.train()  # dropout would make each prediction another
    predictions = [trained.predict(INPUT) for _ in range(5)]
    assert predictions == predictions[:1] * 5
    x = torch.tensor([[float(word) for word in INPUT.split()]])
    expected = trained.network(x).softmax(1)[0].tolist()
    assert [*predictions[0].values()] == pytest.approx(expected, abs=1e-7)
    assert [*predictions[0]] == ["negative", "positive"]


def test_loading_draws_nothing_from_the_random_generator(run: Path) -> None:
    before = torch.get_rng_state()
    load(run)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("spot", ["run", "study", "root", "link"])
def test_code_among_the_runs_is_never_executed(run: Path, spot: str) -> None:
    here = {"run": run, "study": run.parent, "root": run.parent.parent, "link": run}[spot]
    evil = here / "tiny.py"
    marker = run.parent.parent.parent / "executed"
    evil.write_text(
        f"{tiny.SOURCE.replace('CLAIMS', '[]')}\nopen({str(marker)!r}, 'w')\n", encoding="utf-8"
    )
    source = evil
    if spot == "link":
        source = marker.with_name("linked.py")
        source.symlink_to(evil)
    tiny.alter(run, source=str(source))
    with pytest.raises(UserError, match="nothing there is executed"):
        load(run)
    assert not marker.exists()
    assert same_weights(load(run, study=evil), run)  # the same file, named by the user, is
    assert marker.exists()


def test_a_catalogue_name_that_is_a_path_is_not_followed(run: Path) -> None:
    shutil.copy(run.parents[2] / "tiny.py", run / "tiny.py")
    for name in (str(run / "tiny.py"), "./tiny.py", "../tiny.py"):
        tiny.alter(run, source="catalogue", study=name)
        with pytest.raises(UserError, match="not in the catalogue"):
            load(run)


def test_a_relative_path_is_not_followed(run: Path) -> None:
    tiny.alter(run, source="tiny.py")
    with pytest.raises(UserError, match="is not followed"):
        load(run)


def test_the_study_may_be_named_by_the_user(run: Path, place: Path) -> None:
    tiny.alter(run, source="/gone/tiny.py")
    with pytest.raises(UserError, match=r"no study file at /gone/tiny.py"):
        load(run)
    assert same_weights(load(run, study=place / "tiny.py"), run)
    assert same_weights(load(run, study=type(load(run, study="tiny.py").study)), run)


def test_a_class_without_a_file_must_be_given(run: Path) -> None:
    tiny.alter(run, source="")
    with pytest.raises(UserError, match="a class that lies in no file"):
        load(run)


def test_a_scripts_run_has_no_study(place: Path) -> None:
    with etude.Run("mine", root=place / "runs", quiet=True) as run:
        run.keep(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="plain script"):
        load(run)


def test_an_unknown_study_is_named(run: Path) -> None:
    tiny.alter(run, source="catalogue", study="spirrals")
    with pytest.raises(UserError, match="did you mean 'spirals'"):
        load(run)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"fields": None}, "damaged"),
        ({"fields": ["hidden"]}, "damaged"),
        ({"fields": {"hiden": 5}}, "another version of its study: .*did you mean 'hidden'"),
        ({"fields": {"hidden": "five"}}, "another version of its study: .*whole number"),
        ({"fields": {"scale": "quick"}}, "another version of its study"),
        ({"study": 3}, "damaged"),
        ({"source": ["tiny.py"]}, "damaged"),
    ],
)
def test_a_damaged_record_gets_a_sentence(run: Path, record: dict[str, object], said: str) -> None:
    tiny.alter(run, **record)
    with pytest.raises(UserError, match=said) as caught:
        load(run)
    assert "\n" not in str(caught.value)


def test_json_that_is_none_gets_a_sentence(run: Path) -> None:
    (run / "study.json").write_text('{"study": "ti')
    with pytest.raises(UserError, match="can't be read as JSON"):
        load(run)


def test_weights_that_do_not_fit_get_a_sentence(run: Path) -> None:
    weights = load_file(run / "network.safetensors")
    first = next(iter(weights))
    for changed in (
        {key: tensor for key, tensor in weights.items() if key != first},
        {**weights, "another": torch.zeros(1)},
        {**weights, first: torch.zeros(3, 3)},
    ):
        save_file(changed, run / "network.safetensors")
        with pytest.raises(
            UserError,
            match=r"do not fit the network of their study: .*(Missing|Unexpected|mismatch)",
        ):
            load(run)
    save_file(weights, run / "network.safetensors")
    assert same_weights(load(run), run)
    tiny.alter(run, fields={"hidden": 6})
    with pytest.raises(UserError, match="do not fit"):
        load(run)


def test_a_damaged_file_gets_a_sentence(run: Path) -> None:
    content = (run / "network.safetensors").read_bytes()
    for damaged in (b"", content[:50], content[:-10], b"\xff" * 100):
        (run / "network.safetensors").write_bytes(damaged)
        with pytest.raises(UserError, match="can't be read as safetensors"):
            load(run)


def test_a_run_without_a_network_says_its_state(run: Path) -> None:
    (run / "network.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no network.safetensors; there is nothing to load"):
        load(run)
    (run / "result.json").unlink()
    with pytest.raises(UserError, match="for it is stopped"):
        load(run)


def test_what_is_not_there_gets_a_sentence(place: Path) -> None:
    with pytest.raises(UserError, match=r"no run at 'tinny'.*did you mean 'tiny'"):
        load("tinny")
    with pytest.raises(UserError, match="no file at"):
        load("gone.h5")
    (place / "text.h5").write_text("no HDF5")
    with pytest.raises(UserError, match="can't be read as what 'etude export"):
        load("text.h5")


def test_a_study_that_keeps_no_network_says_so(place: Path) -> None:
    path = tiny.write(
        place,
        name="bare.py",
        old_1="def network(",
        new_1="def another(",
        old_2="self.network()",
        new_2="self.another()",
    )
    run = tiny.run(path, place / "runs")
    with pytest.raises(UserError, match="keeps no network"):
        load(run)


def test_the_record_holds_the_digest_of_the_source(place: Path, run: Path) -> None:
    from etude.catalogue import Catalogue

    about = json.loads((run / "study.json").read_text())
    assert about["digest"] == Catalogue()[str(place / "tiny.py")].digest
    assert len(about["digest"]) == 64
    tiny.write(
        place,
        old_1="Nobody (2025)",
        new_1="Somebody (2026)",
        old_2="# of learning",
        new_2="# of gradient descent",
    )
    assert (
        Catalogue()[str(place / "tiny.py")].digest == about["digest"]
    )  # a lesson and comments change no number
    tiny.write(place, old_1="momentum=0.9", new_1="momentum=0.8")
    assert Catalogue()[str(place / "tiny.py")].digest != about["digest"]
