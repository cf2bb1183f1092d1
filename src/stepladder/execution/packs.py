"""How many runs of one experiment an engine trains at once (see engines.Together)."""

from functools import lru_cache

from stepladder._base import registry
from stepladder.datasets import data as data_sets
from stepladder.engines import Together, choose_engine
from stepladder.errors import EngineError
from stepladder.runs.run import EngineIdentity, RunIdentity


def most_together(identity: RunIdentity, *, source: str, n_processes: int) -> int:
    """How many like this one are trained at once, in each of so many processes; 1 where the engine trains one by one.

    ``source`` is Ladder.data. Raises EngineError where an engine of a package cannot tell.
    """
    engine = _engine(identity.engine)
    if engine is None:
        return 1
    info = data_sets.describe(source)
    network = identity.recipe.network_for(info.image)
    try:
        return engine.most_together(network, identity.recipe, n_train=info.n_train, n_processes=n_processes)
    except registry.OUTSIDERS as error:
        name = identity.engine.name
        raise EngineError(
            f"the {name} engine cannot tell how many runs it trains at once ({registry.reason(error)})"
        ) from error


@lru_cache(maxsize=1)
def _engine(identity: EngineIdentity) -> Together | None:
    """None if it trains one by one, or is not here: then it is somewhere else that runs are trained."""
    try:
        engine = choose_engine(identity.name, device=identity.device)[0]
    except EngineError:
        return None
    return engine if isinstance(engine, Together) and engine.identity == identity else None
