"""What is relied on in whoever reads images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import data, kinds
from stepladder.datasets.reading.found import PARTS
from stepladder.errors import DataError
from stepladder.ladders.ladder_toml import data_path


class DatasetConformance:
    """Tests that a source of images passes. Derive from it, name the class Test..., and give ``make_data``.

    ``make_damaged`` should be given too, by whoever reads files.
    """

    def make_data(self, folder: Path) -> str:
        """What stands in ``data = ...`` for a small set, whose files, if it has any, are written to ``folder``."""
        raise NotImplementedError("give make_data, which returns the text that names a small set")

    def make_damaged(self, folder: Path) -> Sequence[str]:
        """The same for sets that are missing, cut off, or not what they should be: each of them is to be refused."""
        del folder
        return ()

    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        return self.make_data(tmp_path)

    def test_it_is_found(self, source: str) -> None:
        kind = kinds.kind_of(source)
        assert kind.name
        assert len(kind.name) < 200
        assert kind.name.isprintable()

    def test_arrays_are_as_they_should_be(self, source: str) -> None:
        """As the source itself gives them: images (N, C, height, width) uint8 or pictures, and as many labels."""
        found = kinds.kind_of(source).read()
        assert "train" in found.parts
        assert set(found.parts) <= set(PARTS)
        for _, part in found:
            assert len(part.images) == part.labels.size > 0
            assert part.labels.dtype.kind in "iuU"
            assert part.names == () or len(part.names) == len(part)
            if isinstance(part.images, np.ndarray):
                assert part.images.dtype == np.uint8
                assert part.images.ndim == 4

    def test_every_class_has_training_images(self, source: str) -> None:
        images = data.load(source)
        n_classes = images.info.image.n_classes
        assert n_classes > 1
        assert np.bincount(images.train.labels, minlength=n_classes).min() > 0
        assert images.test.labels.max() < n_classes

    def test_reading_again_gives_the_same(self, source: str) -> None:
        """And what tells whether it has changed is the same while it has not."""
        kind = kinds.kind_of(source)
        first, again = data.load(source), data.read(kind)
        assert first.sha256 == again.sha256 == data.fingerprint(source)
        assert first.validation_sha256 == again.validation_sha256
        assert first.info == again.info == data.describe(source)
        assert hash(kind.stamp) == hash(kinds.kind_of(source).stamp)
        assert data.load(source) is first

    def test_it_is_the_same_set_from_any_folder(
        self, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As for a worker that stands elsewhere, and for a ladder that is written into another folder."""
        sha256, anywhere = data.fingerprint(source), kinds.from_anywhere(source)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        assert data.fingerprint(anywhere) == sha256
        assert data.fingerprint(data_path(anywhere, elsewhere)) == sha256

    def test_it_can_be_trained_on(self, source: str) -> None:
        splits = data.splits(data.load(source), n_dev=0)
        assert np.isfinite(splits.pixel_mean).all()
        assert (splits.pixel_std > 0).all()
        batch = splits.train.take(np.arange(min(3, len(splits.train))))
        assert batch.dtype == np.uint8
        assert batch.shape[1:] == splits.train.shape[1:]

    def test_damage_is_refused_in_words(self, tmp_path: Path) -> None:
        for damaged in self.make_damaged(tmp_path):
            with pytest.raises(DataError) as refused:
                data.load(damaged)
            assert len(str(refused.value)) > 20, damaged
