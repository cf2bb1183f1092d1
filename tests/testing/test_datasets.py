"""The built-in sources pass the suite that outsiders run."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import write_digits

from stepladder.datasets import data
from stepladder.errors import DataError
from stepladder.testing import DatasetConformance


class TestMnist(DatasetConformance):
    def make_data(self, folder: Path) -> str:
        del folder
        return "mnist"

    def make_damaged(self, folder: Path) -> Sequence[str]:
        del folder
        return ["mnist:digits"]


class TestIdxFolder(DatasetConformance):
    def make_data(self, folder: Path) -> str:
        (folder / "digits").mkdir(exist_ok=True)
        write_digits(folder / "digits", n_train=60, n_test=20)
        return str(folder / "digits")

    def make_damaged(self, folder: Path) -> Sequence[str]:
        missing, cut = folder / "no labels", folder / "cut off"
        for made in (missing, cut):
            shutil.copytree(self.make_data(folder), made)
        next(missing.glob("train-labels*")).unlink()
        images = next(cut.glob("train-images*"))
        images.write_bytes(images.read_bytes()[:-10])
        return [str(missing), str(cut), str(folder / "nothing")]


class TestNpz(DatasetConformance):
    def make_data(self, folder: Path) -> str:
        mnist = data.load("mnist")
        train, test = mnist.train[:60], mnist.test[:20]
        np.savez(folder / "set.npz", x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
        return str(folder / "set.npz")

    def make_damaged(self, folder: Path) -> Sequence[str]:
        whole = Path(self.make_data(folder)).read_bytes()
        (folder / "cut.npz").write_bytes(whole[:-100])
        (folder / "text.npz").write_text("x_train = []")
        return [str(folder / "cut.npz"), str(folder / "text.npz"), str(folder / "nothing.npz")]


def test_a_suite_without_a_set_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="give make_data"):
        DatasetConformance().make_data(tmp_path)


def test_a_word_that_no_package_brings_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing"):
        data.load(str(tmp_path / "digits:nothing"))
