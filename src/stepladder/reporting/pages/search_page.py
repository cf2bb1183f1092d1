"""What a search has found: a table, JSON, and a picture of parameters against accuracy."""

from itertools import islice
from typing import Any

from stepladder._base.machine import require_address_space
from stepladder._base.plain import neutral
from stepladder.recipes.recipe import describe_network
from stepladder.reporting.data.check_json import SCHEMA_VERSION
from stepladder.reporting.numbers import percent, percents, spread_text
from stepladder.reporting.tables import Page, Table, target_text
from stepladder.reporting.vega_lite import SCHEMA, VEGA_BYTES
from stepladder.searching.ladder_of_winner import held_out_text
from stepladder.searching.searching import Found
from stepladder.searching.trials import STATES, Trial, interval

INK, FAINT, LINE, WINNER, TARGET = "#4a4a4a", "#b0b0b0", "#2a6fb0", "#c4520a", "#2e7d32"


def search_page(found: Found) -> Page:
    """The frontier, and what a reader of it must know."""
    target = found.quest.objective.rungs[0].target
    rows = tuple(_row(trial, found) for trial in found.frontier)
    table = Table(
        title=f"The frontier: no other network that was compared is as small and better. {_goal(found)}",
        header=("network", "parameters", "held-out %", "95% interval", "seeds", "held", ""),
        rows=rows,
        numeric=frozenset({1, 2, 3, 4}),
        words=frozenset({0}),
        dropped_first=(4, 3),
        tones={(row, 6): "winner" for row, trial in enumerate(found.frontier) if trial == found.winner},
    )
    return [table, f"Target: {target_text(target)}.", *_notes(found)]


def search_dict(found: Found, *, written: list[str]) -> dict[str, Any]:
    """What ``stepladder search --json`` prints. Percentages are not rounded. ``written``: ladder and picture."""
    quest = found.quest
    target = quest.objective.rungs[0].target
    return {
        "schema_version": SCHEMA_VERSION,
        "ladder": quest.objective.name,
        "evaluated_on": "dev",
        "goal": "smallest" if quest.smallest else "best",
        "params_at_most": quest.space.params,
        "epochs": quest.epochs,
        "target": target.model_dump(mode="json"),
        "reached": found.reached,
        "out_of_time": found.out_of_time,
        "n_trials": {state: found.n_in(state) for state in STATES},
        "n_compared": len(found.contenders),
        "frontier": [_trial_dict(trial, found) for trial in found.frontier],
        "winner": _trial_dict(found.winner, found) if found.winner else None,
        "written": written,
    }


def search_picture(found: Found) -> str:
    """Parameters against mean accuracy on held-out images with 95% intervals over seeds and these, as SVG.

    All that were trained for all epochs, faint with fewer seeds; the frontier as a line; the winner.
    """
    import vl_convert

    require_address_space(VEGA_BYTES, "the picture of a search")
    svg: str = vl_convert.vegalite_to_svg(_chart(found))
    return svg


def network_text(trial: Trial) -> str:
    return describe_network(trial.recipe.network)


def mean_text(trial: Trial, found: Found) -> str:
    """``99.41%``, or ``99.41% (95%: ± 0.05)`` where there are seeds enough for an interval."""
    ends = interval(trial.outcomes[-1])
    text = percent(trial.accuracy(), target=found.quest.objective.rungs[0].target.accuracy)
    return f"{text}%" + (f" (95%: ± {spread_text((ends[1] - ends[0]) / 2)})" if ends else "")


def _row(trial: Trial, found: Found) -> tuple[str, ...]:
    target = found.quest.objective.rungs[0].target.accuracy
    outcomes = trial.outcomes[-1]
    return (
        network_text(trial),
        f"{trial.params:,}",
        percent(trial.accuracy(), target=target),
        percents(interval(outcomes), target=target),
        str(len(outcomes)),
        f"{sum(each.held for each in outcomes)} of {len(outcomes)}",
        "winner" if trial == found.winner else "",
    )


def _goal(found: Found) -> str:
    most = f"of at most {found.quest.space.params:,} parameters"
    return f"Looked for: the smallest {most} that holds." if found.quest.smallest else f"Looked for: the best {most}."


def _notes(found: Found) -> list[str]:
    n_whole, n_stopped, n_running = map(found.n_in, STATES)
    notes = [
        f"Trials: {n_whole} with all seeds, {n_stopped} stopped on the way, {n_running} not at their end."
        f" Evaluated on {held_out_text(found.quest, found.quest.rounds[-1].n_seeds)}; how hard these are is in every"
        " interval, and the same for all networks.",
        "The search did not look at the test images. It chose the best of many, so its numbers flatter: climb the"
        ' ladder, whose seeds had no say in the choice. Its images had: only evaluate_on = "test" is free of that.',
    ]
    if found.winner and found.winner not in found.frontier:
        notes.append(f"The winner: {network_text(found.winner)}, {found.winner.params:,} parameters.")
    if found.quest.smallest and found.winner and not found.winner.holds():
        notes.append("None of them held the target with every seed: the winner is the most accurate.")
    if found.out_of_time:
        notes.append("The time was over; the same command goes on.")
    return notes


def _trial_dict(trial: Trial, found: Found) -> dict[str, Any]:
    outcomes = trial.outcomes[-1]
    ends = interval(outcomes)
    return {
        "trial": trial.number,
        "params": trial.params,
        "recipe": trial.recipe.essence(),
        "dev_final_mean": float(trial.accuracy()),
        "interval": list(ends) if ends else None,
        "seeds": [each.seed for each in outcomes],
        "dev_parts": [each.dev_part for each in islice(found.quest.seen_in(found.quest.rounds[-1]), len(outcomes))],
        "n_correct": [each.n_correct for each in outcomes],
        "n_evaluated": [each.n_evaluated for each in outcomes],
        "held": [sum(each.held for each in outcomes), len(outcomes)],
    }


def _chart(found: Found) -> dict[str, Any]:
    target = found.quest.objective.rungs[0].target.accuracy
    points = [_point(trial, found) for trial in found.at_all_epochs]
    low = min([float(target), *(point["low"] for point in points)])
    high = max([float(target), *(point["high"] for point in points)])
    room = 0.06 * (high - low) or 0.01
    sizes = [point["parameters"] for point in points]
    middle = (min(sizes) + max(sizes)) / 2
    axis = {"zero": False, "nice": False, "padding": 60}
    x = {"field": "parameters", "type": "quantitative", "title": "parameters", "scale": axis}
    scale = {"domain": [low - room, min(100.0, high + room)], "nice": False, "zero": False}
    y = {
        "field": "mean",
        "type": "quantitative",
        "title": "held-out %, mean over seeds, with 95% interval",
        "scale": scale,
    }
    kinds = {"domain": ["fewer seeds", "all seeds", "frontier", "winner"], "range": [FAINT, INK, LINE, WINNER]}
    colour = {"field": "kind", "type": "nominal", "scale": kinds, "legend": {"title": None, "orient": "top"}}
    return {
        "$schema": SCHEMA,
        "width": 640,
        "height": 400,
        "background": "white",
        "title": {
            "text": f"{neutral(found.quest.objective.name)}: what {len(points)} networks reach",
            "fontWeight": "normal",
        },
        "data": {"values": points},
        "layer": [
            {
                "data": {"values": [{"mean": float(target), "label": f"target {target}%"}]},
                "mark": {"type": "rule", "color": TARGET, "strokeDash": [4, 4], "strokeWidth": 1.5},
                "encoding": {"y": y},
            },
            {
                "transform": [{"filter": "datum.on_frontier"}],
                "mark": {"type": "line", "color": LINE, "strokeWidth": 1.5, "interpolate": "step-after"},
                "encoding": {"x": x, "y": y},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            {"mark": {"type": "point", "filled": True, "size": 60}, "encoding": {"x": x, "y": y, "color": colour}},
            *(  # the networks' names stand on that side of their points where there is more room
                {
                    "transform": [{"filter": f"(datum.on_frontier || datum.kind == 'winner') && {where}"}],
                    "mark": {"type": "text", "align": align, "dx": dx, "dy": 10, "fontSize": 10, "color": INK},
                    "encoding": {"x": x, "y": y, "text": {"field": "network", "type": "nominal"}},
                }
                for align, dx, where in (
                    ("left", 7, f"datum.parameters < {middle}"),
                    ("right", -7, f"datum.parameters >= {middle}"),
                )
            ),
        ],
        "config": {"font": "system-ui, sans-serif", "view": {"stroke": None}},
    }


def _point(trial: Trial, found: Found) -> dict[str, Any]:
    middle = float(trial.accuracy())
    low, high = interval(trial.outcomes[-1]) or (middle, middle)
    on_frontier = trial in found.frontier
    compared = "all seeds" if trial in found.contenders else "fewer seeds"
    return {
        "parameters": trial.params,
        "mean": middle,
        "low": low,
        "high": high,
        "network": network_text(trial),
        "on_frontier": on_frontier,
        "kind": "winner" if trial == found.winner else "frontier" if on_frontier else compared,
    }
