"""What a rung's runs show, found by rules: its outliers and fit, how its loss moves, what it confuses, what comes next.

Numbers only; ``reporting.words`` puts them into words. Accuracies are in percent, their differences in points,
losses in nats. Nothing here is a test of a change against the rung below: that is ``comparing``.
"""

from dataclasses import replace

from stepladder.analysis.advice import next_steps
from stepladder.analysis.attempts import Tried
from stepladder.analysis.classes import classes
from stepladder.analysis.findings import Diagnosis
from stepladder.analysis.fit import Fit, fit_of, masks_of
from stepladder.analysis.mistakes import confused_pairs, hard_images, shortfall_of
from stepladder.analysis.movements import early_cut, first_drop, flat_from, movements_of, still_learning
from stepladder.analysis.outliers import outliers, without_collapsed
from stepladder.networks.geometry import Network, sees
from stepladder.runs.results import RungResult


def diagnose(result: RungResult, network: Network, known: Tried | None = None) -> Diagnosis:
    """What the runs of a rung with this network show; the next steps heed what its ladder is known to have tried."""
    rung, finished = result.rung, [run for run in result.runs if run.final is not None]
    apart = outliers(finished, rung.target) if finished else ()
    runs = without_collapsed(finished, apart)
    complete = bool(runs) and len(finished) == len(result.runs)
    movements = movements_of(rung.recipe, runs) if runs else []
    last = movements[-1] if movements else None
    told = shortfall_of(runs, rung.target) if complete else None
    found = Diagnosis(
        n_runs=len(result.runs),
        n_finished=len(finished),
        n_told=len(runs),
        n_evaluated=runs[0].epochs[-1].n_evaluated if runs else None,
        outliers=apart,
        fit=fit_of(rung, runs, network) if complete else Fit(masks=masks_of(rung.recipe, network)),
        bounce=last if last and last.bounces and last.last == len(runs[0].epochs) else None,
        flat_from=flat_from(runs) if runs else None,
        drop=first_drop(movements, runs),
        early_cut=early_cut(rung.recipe, runs) if told and told.points else None,
        learning=still_learning(rung.recipe, runs) if complete else None,
        classes=classes(runs),
        pairs=confused_pairs(runs),
        hard=hard_images(runs, rung.target),
        shortfall=shortfall_of(finished, rung.target) if complete else None,
        shortfall_told=told,
        sees=sees(network),
        image_size=network.image.size,
        params_left=rung.budget.params - network.params,
        epochs_left=rung.budget.epochs - rung.recipe.epochs,
    )
    return replace(found, next_steps=next_steps(found, result, known or Tried()))
