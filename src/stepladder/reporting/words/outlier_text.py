"""Seeds that stand apart, in sentences: collapsed, or unusually low or high; and what few images cannot tell."""

from collections.abc import Sequence
from fractions import Fraction

from stepladder._base.wording import is_are
from stepladder.analysis.findings import Diagnosis
from stepladder.analysis.outliers import Outlier
from stepladder.reporting.words.subject import Subject, listed

MOST_ENDS = 3  # that are told one by one
FEW_IMAGES = 100  # with fewer, one image is more than a point


def outlier_sentences(subject: Subject) -> list[str]:
    """Each kind of outlier in a sentence; where seeds collapsed, what follows is about the others."""
    found = subject.found
    sentences = [_collapsed(subject, found.collapsed)] if found.collapsed else []
    for kind in ("low", "high"):
        of_kind = [each for each in found.outliers if each.kind == kind]
        if of_kind:
            sentences.append(_unusual(subject, of_kind))
    if found.collapsed:
        sentences.append(f"What follows is about {told_apart(found)} unless it says otherwise.")
    return sentences


def told_apart(found: Diagnosis) -> str:
    """``the other 7 seeds``"""
    return "the other seed" if found.n_told == 1 else f"the other {found.n_told} seeds"


def seeds_named(outliers: Sequence[Outlier]) -> str:
    """``seed 5``, ``seeds 3 and 5``."""
    names = [str(each.seed) for each in outliers]
    return f"seed {names[0]}" if len(names) == 1 else f"seeds {listed(names)}"


def _collapsed(subject: Subject, outliers: Sequence[Outlier]) -> str:
    name = seeds_named(outliers).capitalize()
    text = f"{name} collapsed: {'it ends' if len(outliers) == 1 else 'they end'} at {_ends(subject, outliers)}"
    if not any(each.learned for each in outliers):
        text += _no_better(subject, outliers[0])
    return f"{text}; {_usual(subject, outliers[0])}."


def _no_better(subject: Subject, outlier: Outlier) -> str:
    """That no more is right is no word about balanced accuracy, which may be a little higher."""
    if not subject.rung.target.balanced:
        return ", no better than naming the most frequent class each time"
    return f", where naming one class each time gives {subject.measured(outlier.naming_one)}"


def _ends(subject: Subject, outliers: Sequence[Outlier]) -> str:
    """Each seed's; of many, or of equal ones, the range."""
    low, high = (subject.measured(each(one.accuracy for one in outliers)) for each in (min, max))
    if len(outliers) > MOST_ENDS:
        return low if low == high else f"{low} to {high}"
    ends = [_end(subject, each) for each in outliers]
    return ends[0] if len(set(ends)) == 1 else listed(ends)


def _end(subject: Subject, each: Outlier) -> str:
    end = subject.measured(each.accuracy)
    return end if each.best is None else f"{end} (after {subject.measured(each.best)} at epoch {each.best_at})"


def _unusual(subject: Subject, outliers: Sequence[Outlier]) -> str:
    name, kind = seeds_named(outliers).capitalize(), outliers[0].kind
    ends = listed([subject.measured(each.accuracy) for each in outliers])
    no_collapse = "; that is no collapse" if kind == "low" else ""
    return f"{name} {is_are(len(outliers))} unusually {kind}: {ends}{no_collapse}; {_usual(subject, outliers[0])}."


def _usual(subject: Subject, outlier: Outlier) -> str:
    usual = subject.measured(outlier.usual)
    if outlier.n_others == 1:
        return f"the other seed ends at {usual}"
    return f"the median of the other {outlier.n_others} seeds is {usual}"


def few_images(subject: Subject) -> list[str]:
    """What a small test set cannot tell."""
    n = subject.found.n_evaluated
    if n is None or n >= FEW_IMAGES:
        return []
    one = Fraction(100, n)
    images = f"Only {n} {subject.split} images are" if n > 1 else f"Only one {subject.split} image is"
    return [f"{images} evaluated: one image is {float(one):.2f} points."]
