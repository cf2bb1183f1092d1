"""The keys of stored runs: who renames, moves or adds something must not lose what people have trained."""

import json
from pathlib import Path

from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder_file import load, shipped
from stepladder.runs.run import experiment_key

KEYS = Path(__file__).parents[1] / "corpus" / "keys.json"


def test_the_keys_of_all_shipped_rungs_are_what_they_were() -> None:
    known = json.loads(KEYS.read_text())
    ladders = {name: load(name) for name in shipped()}
    found = {
        f"{name}/{rung.name}": experiment_key(rung.recipe, data_identity(ladder))
        for name, ladder in ladders.items()
        for rung in ladder.trained
    }
    assert found == known
