"""How much memory of a GPU a seed takes while it is trained: an estimate, from shapes alone."""

from stepladder.networks.geometry import Network
from stepladder.networks.ops import Dropout
from stepladder.networks.sides import area
from stepladder.recipes.recipe import Augment, Recipe

FLOAT = 4
PARAMETER_ARRAYS = 12  # parameters, gradients, leaves and theirs, two states, average, and an update's intermediates
TRANSIENT = 4  # values as large as a layer's output that come and go around it: gradients, masks, a convolution's own
USED = 0.8  # of what is free: the estimate is one, and PyTorch's blocks leave gaps


def fitting(free: int, network: Network, recipe: Recipe, *, n_train: int) -> int:
    """How many seeds fit into so many bytes, 1 at least. Each model has the training images once, for all its seeds."""
    n_models = 1 + bool(recipe.recalibrate_images) + _n_teachers(recipe)
    images = n_models * n_train * (network.image.channels * network.image.n_pixels + 8)
    return max(1, int((USED * free - images) // bytes_per_seed(network, recipe, n_train=n_train)))


def bytes_per_seed(network: Network, recipe: Recipe, *, n_train: int) -> int:
    """What one more seed takes on the device, of models, steps and draws; its images are there once for all."""
    image = network.image
    n_networks = 1 + bool(recipe.recalibrate_images)
    parameters = n_networks * PARAMETER_ARRAYS * FLOAT * network.params
    kept, largest = _activations(network)
    step = recipe.batch_size * (kept + TRANSIENT * FLOAT * max(largest, 4 * image.channels * image.n_pixels))
    if recipe.teacher is not None:
        teacher = recipe.teacher.network_for(image)
        _, widest = _activations(teacher)
        parameters += _n_teachers(recipe) * 2 * FLOAT * teacher.params
        step += recipe.batch_size * TRANSIENT * FLOAT * widest
    return parameters + step + 2 * n_train * _bytes_of_draws(recipe.augment, max(image.height, image.width))


def _n_teachers(recipe: Recipe) -> int:
    return 0 if recipe.distill is None else len(recipe.distill.seeds_for(0))


def _activations(network: Network) -> tuple[int, int]:
    """Bytes that one image's forward pass keeps for its backward pass, and values of its largest output."""
    kept, largest = 0, network.image.channels * network.image.n_pixels
    kept += FLOAT * largest
    for row in network.rows:
        n_values = row.out_channels * area(row.out_size)
        n_dropped = sum(isinstance(step, Dropout) for step in row.steps)
        kept += n_values * (FLOAT * (1 + len(row.steps)) + 8 * (row.kernel != 1) + 7 * n_dropped)  # indices; bits, mask
        largest = max(largest, n_values)
    return kept, largest


def _bytes_of_draws(augment: Augment, longest: int) -> int:
    """An image's place in the order, and what happens to it; ``longest`` is its longer side."""
    if augment == Augment():
        return 8
    return 8 + 6 * FLOAT + 4 * longest * FLOAT * bool(augment.elastic_px) + 4 * FLOAT * bool(augment.cutout_px)
