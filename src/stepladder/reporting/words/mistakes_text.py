"""What a rung gets wrong, in sentences: classes far below the others, classes taken for others, images wrong again."""

from fractions import Fraction

from stepladder._base.wording import is_are, n_of
from stepladder.analysis.classes import MOST_NAMED, WeakClass
from stepladder.analysis.findings import Diagnosis
from stepladder.analysis.mistakes import HardImages
from stepladder.reporting.numbers import beside, percent, share_text
from stepladder.reporting.words.subject import Subject, all_of, listed


def mistakes(subject: Subject) -> list[str]:
    """All that there is to say about mistakes."""
    found = subject.found
    pairs = [_pairs(subject)] if found.pairs else []
    if found.fit.kind == "none":
        return _classes(subject)
    return [*_classes(subject), *pairs, *([_hard_images(found.hard, _runs(found))] if found.hard else [])]


def _classes(subject: Subject) -> list[str]:
    found, n_told = subject.found.classes, subject.found.n_told
    sentences = []
    if found.one_answer is not None:
        part = share_text(float(found.one_answer))
        if found.answer is not None and found.answer_share is not None:
            of_it = share_text(float(found.answer_share))
            what = f"class {subject.called(found.answer)}, which {of_it} of them are"
        else:
            what = "one class, which is not the same in all runs"
        all_or = "all" if found.one_answer == 1 else "nearly all"
        sentences.append(f"One answer for {all_or}: {part} of the {subject.split} images are taken for {what}.")
    elif found.never:
        sentences.append(_never(subject, found.never))
    of_runs = f" on average over {n_told} runs" if n_told > 1 else ""
    sentences += [
        f"Class {subject.called(each.label)} is far below the others: {share_text(float(each.recall))} of its"
        f" {n_of(each.n, 'image')} {is_are(each.n)} right{of_runs}, where of the other classes it is"
        f" {share_text(float(each.usual))} in the median."
        for each in found.weak[:MOST_NAMED]
    ]
    if (n_more := len(found.weak) - MOST_NAMED) > 0:
        sentences.append(f"So {is_are(n_more)} {n_of(n_more, 'more class', 'more classes')}.")
    if found.unequal is not None and found.balanced is not None:
        least, most = found.unequal
        evaluated = subject.found.fit.evaluated
        accuracy = "" if evaluated is None else f", where accuracy is {subject.percent(evaluated)}"
        sentences.append(
            f"Classes are unequal, of {least:,} to {n_of(most, f'{subject.split} image')}: balanced accuracy, the mean"
            f" of each class's share of right images, is {_balanced(subject, found.balanced)}{accuracy}."
        )
    return sentences


def _balanced(subject: Subject, share: Fraction) -> str:
    """Where the target speaks of it, never shown as a target that it misses."""
    target = subject.rung.target
    return f"{percent(100 * share, target=target.accuracy)}%" if target.balanced else share_text(float(share))


def _never(subject: Subject, never: tuple[WeakClass, ...]) -> str:
    n_images = n_of(sum(each.n for each in never), "image")
    if len(never) == 1:
        none = "its one image is not" if never[0].n == 1 else f"none of its {n_images} is"
        return f"Class {subject.called(never[0].label)} is never predicted: {none} right."
    labels = [subject.called(each.label) for each in never[: 2 * MOST_NAMED]]
    more = [f"{len(never) - len(labels)} more"] if len(never) > len(labels) else []
    return f"Classes {listed([*labels, *more])} are never predicted: none of their {n_images} is right."


def _runs(found: Diagnosis) -> str:
    if found.collapsed:
        return "other runs"
    return "runs" if found.n_finished == found.n_runs else "finished runs"


def _pairs(subject: Subject) -> str:
    """Says so where a pair is not confused in every run."""
    found, called = subject.found, subject.called
    words, pairs, n_runs = [], found.pairs, found.n_told
    for pair in pairs:
        verb = "taken for" if pair is pairs[0] else "for"
        number = n_of(pair.n, "time") if pair is pairs[0] else f"{pair.n:,}"
        some = f", in {n_of(pair.n_runs, 'run')}" if pair.n_runs < n_runs else ""
        words.append(f"{called(pair.label)} {verb} {called(pair.predicted)} ({number}{some})")
    where = f", over {n_runs} {_runs(found)}" if n_runs > 1 else ""
    text = f"Most confused{where}: {listed(words)}."
    both = [pair for pair in pairs if pair.both_ways]
    if both:
        pair = max(both, key=lambda pair: pair.n + pair.n_back)
        one, other = called(pair.label), called(pair.predicted)
        text += f" {one} and {other} are confused both ways: {pair.n:,} and {pair.n_back:,} times."
    return text


def _hard_images(hard: HardImages, runs: str) -> str:
    if not hard.in_any:
        return f"No image is wrong in any of the {hard.n_runs} {runs}."
    in_all = "No image is" if not hard.in_all else f"{n_of(hard.in_all, 'image')} {is_are(hard.in_all)}"
    in_half = f" {hard.in_half:,} in at least half," if hard.n_runs > 2 else ""
    return (
        f"{in_all} wrong in {all_of(hard.n_runs)} {runs},{in_half} {hard.in_any:,} in at least one; a typical run gets"
        f" {beside(hard.typical, hard.allowed)} wrong, the target allows {hard.allowed:,}."
    )
