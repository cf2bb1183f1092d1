"""What names a set of images: a path alone, or with what is to be made of its pictures; one text for both."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stepladder as sl
from stepladder.datasets import kinds
from stepladder.datasets.spec import LARGEST_SIDE, DataSpec, spec_of, with_path
from stepladder.errors import DataError, LadderError
from stepladder.ladders.ladder_file import ladder_of
from stepladder.ladders.ladder_toml import data_path

PATHS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda path: not path.startswith("{")
)
SIDES = st.integers(2, LARGEST_SIDE)
WISHES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"resize": st.sampled_from(["pad", "crop", "stretch"]), "size": st.tuples(SIDES, SIDES)}),
    st.fixed_dictionaries({"channels": st.sampled_from([1, 3]), "group": st.just("([0-9]+)_")}),
)


@given(PATHS, WISHES)
def test_its_text_names_it(path: str, wishes: dict[str, Any]) -> None:
    spec = DataSpec(path=path, **wishes)
    assert spec_of(spec.text) == spec
    assert (spec.text == path) is (not wishes)
    assert spec_of(with_path(spec.text, "elsewhere")) == spec.at("elsewhere")


WRONG = {
    "no resize": ({"size": 32}, "size is given without resize"),
    "no size": ({"resize": "pad"}, "resize is given without size"),
    "a negative size": ({"resize": "pad", "size": [-3, 3]}, "height and width of 1 to 4,096 pixels"),
    "three sizes": ({"resize": "pad", "size": [3, 3, 3]}, "height and width of 1 to 4,096 pixels"),
    "a huge size": ({"resize": "pad", "size": 10**9}, "height and width of 1 to 4,096 pixels"),
    "a truth as size": ({"resize": "pad", "size": True}, "height and width of 1 to 4,096 pixels"),
    "another way": ({"resize": "squash", "size": 32}, "'pad', 'crop' or 'stretch'"),
    "two channels": ({"channels": 2}, "1 or 3"),
    "no expression": ({"group": "("}, "is no regular expression"),
    "another word": ({"colour": 3}, "colour"),
}


@pytest.mark.parametrize(("wishes", "words"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused_in_python_and_in_a_file(
    wishes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(LadderError, match=words):
        sl.dataset({"path": "photos", **wishes})
    table = ", ".join(
        f"{name} = {str(value).lower() if value is True else repr(value)}" for name, value in wishes.items()
    )
    text = f'name = "a"\ndata = {{ path = "photos", {table} }}\nbudget = {{ params = 1, epochs = 1 }}\n'
    text += 'target = { accuracy = 1, last_epochs = 1 }\n[[rung]]\nname = "a"\nwhy = "b"\n[rung.recipe]\n'
    text += 'network = ["gap", "linear 2"]\nepochs = 1\n'
    with pytest.raises(LadderError, match=words):
        ladder_of(text, tmp_path / "a.toml")


def test_a_damaged_text_is_bad_data() -> None:
    with pytest.raises(DataError, match="Field required"):
        spec_of('{"size": [3, 3], "resize": "pad"}')
    with pytest.raises(DataError, match="Invalid JSON"):
        spec_of("{not json")


def test_a_ladder_keeps_it_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its file, written again, says the same."""
    spec = DataSpec(path=str(tmp_path / "photos"), resize="crop", size=(28, 28))
    ladder = sl.ladder(
        "mine", data=spec, budget={"params": 100, "epochs": 1}, target={"accuracy": 50.0, "last_epochs": 1}
    ).start("a", {"network": ["gap", "linear 2"], "epochs": 1}, why="b")
    text = ladder.to_toml(folder=tmp_path)
    assert 'data = { path = "photos", resize = "crop", size = [28, 28] }' in text
    assert ladder_of(text, tmp_path / "mine.toml").data == spec.text
    monkeypatch.chdir(tmp_path)
    assert kinds.from_anywhere(spec.at("photos").text) == spec.text
    assert data_path(spec.text, tmp_path) == spec.at("photos").text
