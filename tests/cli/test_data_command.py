"""From a folder of photos to a report, in five commands; and what data says of a set."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import CommandLine
from image_forms import GREY, NAMES, write_classes
from PIL import Image

from stepladder.datasets.contact_sheet import EACH, SIDE


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of photos of mixed sizes, PNG and JPEG, grey and colour."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    for label, name in enumerate(("day light", "night")):
        (folder / name).mkdir(parents=True)
        for k in range(30):
            height, width = rng.integers(20, 60, 2).tolist()
            pixels = rng.normal(180 - 130 * label, 20, (height, width, 3)).clip(0, 255).astype(np.uint8)
            picture = Image.fromarray(pixels).convert("L" if k % 5 == 0 else "RGB")
            picture.save(folder / name / f"{k}.{'jpg' if k % 3 == 0 else 'png'}")
    return folder


def test_from_photos_to_a_report_in_five_commands(photos: Path, stepladder: CommandLine) -> None:
    wishes = ("--resize", "pad", "--size", 16)
    data = stepladder("data", "photos", *wishes, "--sheet", "sheet.png")
    assert data.returncode == 0, data.stderr
    assert "folders of pictures, one for each class" in data.stdout
    assert "day light" in data.stdout
    assert "12 of 60 pictures: converted from grey to colour" in data.stdout
    assert "there is no test part" in data.stdout
    assert "stepladder new photos --resize pad --size 16x16" in data.stderr
    with Image.open(photos.parent / "sheet.png") as sheet:
        assert sheet.width > EACH * SIDE
    assert stepladder("new", "photos", *wishes).returncode == 0
    ladder = photos.parent / "photos.toml"
    assert 'data = { path = "photos", resize = "pad", size = [16, 16] }' in ladder.read_text()
    ladder.write_text(
        ladder.read_text().replace("epochs = 30", "epochs = 2").replace("last_epochs = 3", "last_epochs = 1")
    )
    check = stepladder("check", "photos.toml")
    assert check.returncode == 0, check.stderr
    climb = stepladder("climb", "photos.toml", "--seeds", 1, "--jobs", 1)
    assert climb.returncode in (0, 1), climb.stderr
    assert stepladder("report", "photos.toml").returncode == 0
    assert '"classes":["day light","night"]' in (photos.parent / "photos-report.html").read_text()
    record = min((photos.parent / "runs").glob("*/seed-1.*.json"))
    assert json.loads(record.read_text())["run"]["identity"]["data"]["class_names"] == ["day light", "night"]


def test_photos_of_many_sizes_are_refused_with_the_remedy(photos: Path, stepladder: CommandLine) -> None:
    for command in ("data", "new"):
        refused = stepladder(command, photos.name)
        assert refused.returncode == 4
        assert "sizes, from" in refused.stderr
        assert "--resize pad --size 32" in refused.stderr


def test_what_machines_read(tmp_path: Path, stepladder: CommandLine) -> None:
    write_classes(tmp_path / "set" / "train", GREY.x, GREY.y)
    write_classes(tmp_path / "set" / "test", GREY.tx, GREY.ty)
    found = json.loads(stepladder("data", "set", "--json").stdout)
    assert found["class_names"] == list(NAMES)
    assert found["parts"]["train"]["n"] == len(GREY.x)
    assert sum(found["parts"]["test"]["per_class"]) == len(GREY.tx)
    assert len(found["sha256"]) == 64
