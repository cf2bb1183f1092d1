"""What an installed package may add, by name: it is found when it is asked for by that name, and imported not before.

What is built in stands in the tables here, as the same kind of entry point that a package declares, and is loaded the
same way. It is not declared in pyproject.toml: that is copied when a package is installed, so that an editable install,
or a source folder on ``sys.path``, would go on with what was there then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepladder._base.wording import cut, did_you_mean, shown, words_of
from stepladder.errors import DataError, EngineError, LadderError, StepladderError, TrackerError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OUTSIDERS = (Exception, SystemExit)
"""What somebody else's code may end in. What it does to end a program ends none of ours: nobody would know why."""


@dataclass(frozen=True)
class Registry:
    """One kind of thing that can be added: ``built_in`` maps names to ``"module:attribute"``, ``group`` is that of
    the entry points of others. ``error`` is what is raised where one cannot be had.
    """

    kind: str
    group: str
    built_in: Mapping[str, str]
    error: type[StepladderError]

    def names(self) -> tuple[str, ...]:
        """Every name: what is built in, then what packages bring. Looks through all that is installed."""
        return tuple(dict.fromkeys((*self.built_in, *sorted(entry.name for entry in self._brought()))))

    def load(self, name: str) -> Any:
        """What a name stands for. What is built in is had without a look at packages, and raises what its import does.

        Raises ``error`` if there is none of that name, if two packages bring one, and if it does not load.
        """
        if name in self.built_in:
            from importlib.metadata import EntryPoint

            return EntryPoint(name, self.built_in[name], self.group).load()
        entry = self._entry(name)
        try:
            return entry.load()
        except OUTSIDERS as error:  # whatever an outsider's module does
            raise self.error(
                f"the {self.kind} {shown(name)} of {package(entry)} does not load ({reason(error)}): install"
                f" {package(entry)} again, or leave it out"
            ) from error

    def brought_by(self, name: str) -> str:
        """The package, and its version, that a name comes from. Raises as ``load`` does for what cannot be chosen."""
        return package(self._entry(name))

    def require_alone(self, name: str) -> None:
        """Raise ``error`` if a package brings what is built in under that name: which one was meant?"""
        for entry in self._brought():
            if name in self.built_in and entry.name == name:
                raise self.error(
                    f"{package(entry)} brings the {self.kind} {shown(name)}, and that name is a built-in one's: it has"
                    " to take another name; until then uninstall it"
                )

    def _entry(self, name: str) -> "EntryPoint":
        rivals = [entry for entry in self._brought() if entry.name == name]
        if len(rivals) > 1:
            raise self.error(
                f"the {self.kind} {shown(name)} is brought by {package(rivals[0])} and by {package(rivals[1])}:"
                " uninstall one of them"
            )
        if not rivals:
            raise self.error(f"no {self.kind} {shown(name)}{did_you_mean(name, self.names(), place=self.kind)}")
        return rivals[0]

    def _brought(self) -> "list[EntryPoint]":
        """What installed packages declare."""
        from importlib.metadata import entry_points  # only now: a tenth of what --help takes

        return list(entry_points(group=self.group))


def package(entry: "EntryPoint") -> str:
    """The name and version of the package that declares an entry point."""
    found = entry.dist
    return cut(f"{found.name} {found.version}", most=100) if found else "a package without a name"


def reason(error: BaseException) -> str:
    """An error of somebody else's code, in a few words on one line."""
    return cut(f"{type(error).__name__}: {' '.join(words_of(error).split())}", most=300).removesuffix(": ")


ENGINES = Registry(
    "engine",
    "stepladder.engines",
    {"jit": "stepladder.engines.jit.engine:for_device", "torch": "stepladder.engines.torch.engine:TorchEngine"},
    EngineError,
)
SOURCES = Registry(
    "data source",
    "stepladder.datasets",
    {
        "mnist": "stepladder.datasets.forms.embedded:Mnist",
        ".npz": "stepladder.datasets.forms.npz:NpzFile",
        "IDX folder": "stepladder.datasets.forms.idx:IdxFolder",
        "CIFAR binary": "stepladder.datasets.forms.cifar:CifarBinary",
        "CIFAR pickled": "stepladder.datasets.forms.cifar:CifarPickled",
        "STL-10 binary": "stepladder.datasets.forms.stl10:Stl10",
        "CSV of pixels": "stepladder.datasets.forms.csv_pixels:CsvPixels",
        "CSV of paths": "stepladder.datasets.forms.csv_paths:CsvPaths",
        "npy files": "stepladder.datasets.forms.npy_files:NpyFiles",
        "MATLAB": "stepladder.datasets.forms.matlab:MatFile",
        "HDF5": "stepladder.datasets.forms.hdf5:Hdf5",
        "LIBSVM": "stepladder.datasets.forms.libsvm:Libsvm",
        "Hugging Face": "stepladder.datasets.forms.hugging_face:HuggingFace",
        "Tiny ImageNet": "stepladder.datasets.forms.tiny_imagenet:TinyImageNet",
        "Edge Impulse": "stepladder.datasets.forms.edge_impulse:EdgeImpulse",
        "class folders": "stepladder.datasets.forms.class_folders:ClassFolders",
        "zip archives": "stepladder.datasets.forms.zips:Zips",
    },
    DataError,
)
EXECUTORS = Registry(
    "place to train",
    "stepladder.executors",
    {
        "local": "stepladder.execution.places:local",
        "dask": "stepladder.execution.on_dask:place",
        "slurm": "stepladder.execution.on_slurm:place",
        "python": "stepladder.execution.places:of_python",
    },
    LadderError,
)
TRACKERS = Registry(
    "tracker",
    "stepladder.trackers",
    {
        "tensorboard": "stepladder.tracking.tensorboard:TensorBoard",
        "mlflow": "stepladder.tracking.mlflow:Mlflow",
        "wandb": "stepladder.tracking.wandb:Wandb",
        "trackio": "stepladder.tracking.trackio:Trackio",
    },
    TrackerError,
)
