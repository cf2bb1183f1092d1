"""What stands behind a rung's numbers, on runs whose answers are known."""

from collections.abc import Sequence
from random import Random

import numpy as np
from records import make_run

from stepladder.reporting.evidence import Mistake, confusion, first_mistakes, mistakes
from stepladder.runs.run import Run, WrongImage
from stepladder.runs.stats import typical_run


def run_with(seed: int, n_correct: int, wrong: Sequence[tuple[int, int, int, float]] = ()) -> Run:
    """A run of one epoch; ``wrong`` holds (index, label, predicted, probability)."""
    images = tuple(WrongImage(index=i, label=a, predicted=b, probability=p) for i, a, b, p in wrong)
    return make_run(seed, [n_correct]).model_copy(update={"wrong_images": images})


def test_mistakes_are_joined_by_image_and_ranked_by_seeds_then_sureness() -> None:
    runs = [
        run_with(1, 9900, [(7, 4, 9, 0.75), (3, 2, 7, 0.99)]),
        run_with(2, 9900, [(7, 4, 9, 0.25)]),
        run_with(3, 9900, [(7, 4, 1, 0.99), (5, 8, 3, 0.5)]),
        make_run(4, [9900], diverged_at_epoch=1),
    ]
    assert mistakes(runs) == [
        Mistake(7, 4, predicted=9, others=(1,), probability=0.5, n_wrong=3, n_seeds=3),
        Mistake(3, 2, predicted=7, others=(), probability=0.99, n_wrong=1, n_seeds=3),
        Mistake(5, 8, predicted=3, others=(), probability=0.5, n_wrong=1, n_seeds=3),
    ]
    assert mistakes([]) == []


def test_the_first_mistakes_are_those_of_all_of_them() -> None:
    rng = Random(0)
    images = sorted(rng.sample(range(10_000), 40))
    runs = [
        run_with(seed, 9980, [(k, k % 10, (k + rng.choice((1, 1, 3))) % 10, rng.random()) for k in sorted(chosen)])
        for seed, chosen in enumerate((rng.sample(images, 20) for _ in range(5)), 1)
    ]
    found = mistakes(runs)
    assert {each.n_wrong for each in found} >= {1, 2, 3}
    assert any(each.others for each in found)
    for most in (0, 1, 7, 20, len(found), 100):
        assert first_mistakes(runs, most=most) == (found[:most], len(found))


def test_of_two_answers_given_as_often_the_smaller_class_is_shown() -> None:
    (found,) = mistakes([run_with(1, 9900, [(7, 4, 9, 0.9)]), run_with(2, 9900, [(7, 4, 1, 0.6)])])
    assert (found.predicted, found.others, found.probability) == (1, (9,), 0.6)


def test_confusion_adds_up_over_finished_runs() -> None:
    runs = [run_with(1, 9900), run_with(2, 9950), make_run(3, [9900], diverged_at_epoch=1)]
    found = confusion(runs)
    assert found is not None
    assert found.tolist() == [[19850, 150], [0, 0]]
    assert found.dtype == np.int64
    assert confusion(runs[2:]) is None


def test_the_typical_run_is_the_lower_median() -> None:
    runs = [run_with(1, 9950), run_with(2, 9910), run_with(3, 9930), run_with(4, 9920)]
    assert typical_run(runs) == runs[3]
    assert typical_run([*runs, run_with(5, 9920)]) == runs[3], "of equals the smallest seed"
    assert typical_run([make_run(1, [9900], diverged_at_epoch=1)]) is None
