"""Words of the field that are none of Stepladder's, and what to write instead, by the place they stand in.

People know these words from PyTorch, Keras or papers. A suggestion has to mean the same thing: where there is no such
thing here, the table says so, and what comes nearest, rather than let a word that is merely spelled alike be taken.
A key is written in small letters and digits alone, several with one remedy behind each other. A remedy of one word is
a word to write in its place; any other is an instruction.
"""

NONE_HERE = "there is none here"
_ONLY_RELU = "of activations 'relu' and 'leaky' are known, as steps of a block"
_LEAKY = "leakyrelu lrelu"
_OTHER_NORM = "there is no such step: 'norm' is batch norm, which is something else"
_A_LAYER = "that is a layer of its own"
_STEPS_OF_CONV = (
    "leave it out: relu, norm and dropout follow every convolution already, unless the recipe's block says otherwise;"
    " other steps for this layer alone stand at the end, as in 'conv 8 block conv relu'"
)
_STEPS_OF_LINEAR = "steps stand at the end, after 'block linear', as in 'linear 32 block linear relu'"
_STEP = (
    "that is a step, not a layer: leave it out, relu, norm and dropout follow every convolution already, unless the"
    " recipe's block says otherwise; block = \"conv relu norm\" changes that for all, 'conv 8 block conv relu' for"
    " one, and 'linear 32 block linear relu' gives a linear layer steps"
)
_NORMALISED = "leave it out: images are always normalised, by the mean and deviation of the training images' pixels"
_WHOLE_CLIMB = "that is an option of the command, not a part of a ladder: "

_ACTIVATIONS = (
    "relu6 prelu rrelu elu selu celu crelu gelu silu swish mish glu hardswish hardsigmoid"
    " hardtanh softplus softsign sigmoid tanh activation activations act nonlinearity"
)
_OTHER_NORMS = (
    "groupnorm gn layernorm layernormalization ln instancenorm instancenorm2d rmsnorm localresponsenorm lrn weightnorm"
    " spectralnorm groupnormalization"
)
_BATCH_NORM = "bn bn2d batchnorm batchnorm1d batchnorm2d batchnormalization batchnormalisation normalization"
_OTHER_DROPOUT = "dropout2d spatialdropout spatialdropout2d alphadropout droppath stochasticdepth dropblock dropconnect"
_OTHER_OPTIMIZERS = (
    "rmsprop adagrad adadelta adamax nadam nadamw radam adamp adan lion lamb lars shampoo soap lbfgs adafactor sophia"
    " sgdw sgdp asgd rprop lookahead ranger sparseadam ftrl"
)
_FIXED = "leave it out: a schedule lasts for all epochs of the recipe"

_OPTIONS_OF_BOTH = {
    "padding p": "pad",
    "same paddingsame padsame samepadding": "write 'pad P', P half of the kernel rounded down: 'pad 1' for 3x3",
    "valid paddingvalid padvalid": "leave it out: nothing is padded unless told",
    "strides s": "stride",
    "k ks kernel kernelsize size": "write the kernel behind the number of channels, as in 'conv 8 3x3'",
    "dilation dilated dilationrate": NONE_HERE,
    "groups group": "there are no groups here but the 'depthwise' layer, of one channel each",
    "shared sharedweights tied": "there is none here: no two layers share weights",
}

_OF_A_CHANGE = {
    "title label id": "name",
    "rationale motivation because description about notes comment": "why",
    "changes": "change",
    "seed seeds": _WHOLE_CLIMB + "stepladder climb my.toml --seeds 8",
}

_TABLES: dict[str, dict[str, str]] = {
    "layer": {
        "conv2d convolution convolution2d convolutional": "conv",
        "conv1d": "a signal is an image of one row, and its kernel has one: 'conv 8 1x3'",
        "conv3d": "images have two dimensions: 'conv' is the two-dimensional convolution",
        "convtranspose convtranspose2d conv2dtranspose transposedconv deconv upconv upsample upsampling upsampling2d"
        " pixelshuffle unpool maxunpool2d": "there is none here: no layer makes an image larger",
        "depthwiseconv2d depthwiseconv dwconv dwconv2d dw": "depthwise",
        "separableconv separableconv2d sepconv separable dsconv": "write 'depthwise bare', 'conv 16 1x1', two layers",
        "pointwise pointwiseconv conv1x1 1x1": "write 'conv 16 1x1'",
        "maxpool2d maxpooling maxpooling2d mp": "maxpool",
        "avgpool2d averagepool averagepooling averagepooling2d avgpooling meanpool": "avgpool",
        "pool pooling pool2d pooling2d subsample": "write 'maxpool 2' or 'avgpool 2'",
        "globalavgpool globalavgpool2d globalaveragepool globalaveragepooling globalaveragepooling2d": "gap",
        "adaptiveavgpool adaptiveavgpool2d": "write 'gap', the average over all places",
        "gmp globalmaxpool globalmaxpool2d globalmaxpooling globalmaxpooling2d adaptivemaxpool adaptivemaxpool2d": (
            "'gap' is the average, which is something else; a maximum over all places is 'maxpool K', K the side of the"
            " whole map"
        ),
        "dense fc fullyconnected innerproduct affine lin": "linear",
        "flatten reshape view": "leave it out: a linear layer takes in all values of a map, flattened",
        "softmax logsoftmax": "leave it out: the loss takes the softmax of what the network gives",
        "input inputlayer image identity": "leave it out: the images are the input of the first layer",
        "add skip shortcut skipconnection resblock residualblock basicblock resnetblock bottleneck": (
            "write 'residual N' where things are added: it adds what went into the N-th layer back"
        ),
        "concat concatenate cat densenetblock denseblock": f"{NONE_HERE}: 'residual N' adds, which is something else",
        "se seblock selayer squeeze squeezeexcitation squeezeandexcite squeezeandexcitation": "squeeze-excite",
        "zeropad zeropad2d zeropadding2d padding": "write 'pad' at the layer, as in 'conv 8 pad 1'",
        f"relu norm dropout {_BATCH_NORM}": _STEP,
        f"{_LEAKY} leaky {_ACTIVATIONS}": _ONLY_RELU,
        _OTHER_NORMS: _OTHER_NORM,
        _OTHER_DROPOUT: f"{NONE_HERE}: the step 'dropout' zeroes single values, which is something else",
        "lstm gru rnn attention multiheadattention selfattention transformer embedding bilinear": NONE_HERE,
    },
    "conv": _OPTIONS_OF_BOTH
    | {
        "nobias biasfalse bias0 biasno usebiasfalse withoutbias": "a convolution has no bias unless told: leave it out",
        "usebias usebiastrue biastrue biasyes withbias": "bias",
        f"relu norm dropout {_BATCH_NORM}": _STEPS_OF_CONV,
        f"{_LEAKY} leaky {_ACTIVATIONS}": f"{_ONLY_RELU}: {_STEPS_OF_CONV}",
        _OTHER_NORMS: _OTHER_NORM,
        "noblock nosteps nonorm norelu noactivation none plain": "write 'bare' for no steps, or a block of its own",
    },
    "pool": _OPTIONS_OF_BOTH
    | {
        "ceil ceilmode ceilmodetrue": "there is none here: what a pool cannot fill is left out",
        f"relu norm dropout block bare {_BATCH_NORM}": "a pool has no steps: they stand at the convolution before it",
        f"{_LEAKY} leaky {_ACTIVATIONS}": _ONLY_RELU,
        "bias nobias": "leave it out: a pool has no parameters",
    },
    "linear": {
        "bias biastrue usebias": "a linear layer has one unless told 'nobias': leave it out",
        "biasfalse bias0 usebiasfalse withoutbias": "nobias",
        f"relu norm dropout {_BATCH_NORM}": _STEPS_OF_LINEAR,
        f"{_LEAKY} leaky {_ACTIVATIONS}": f"{_ONLY_RELU}: {_STEPS_OF_LINEAR}",
        _OTHER_NORMS: _OTHER_NORM,
        "bare": "leave it out: a linear layer has no steps unless told",
        "pad stride padding": "a linear layer has none: it sees its whole input",
        "softmax": "leave it out: the loss takes the softmax of what the network gives",
    },
    "step": {
        _LEAKY: "write 'leaky 0.01', with the slope that it has below 0",
        _BATCH_NORM: "norm",
        _OTHER_NORMS: _OTHER_NORM,
        _ACTIVATIONS: _ONLY_RELU,
        "drop": "dropout",
        _OTHER_DROPOUT: f"{NONE_HERE}: 'dropout' zeroes single values, which is something else",
        "conv conv2d convolution linear dense depthwise": "the operation stands once, at the beginning",
        "maxpool avgpool pool gap maxpool2d": _A_LAYER,
        "bias": "write it at the layer, as in 'conv 8 bias'",
        "add skip residual concat": _A_LAYER,
    },
    "recipe": {
        "learningrate maxlr baselr initiallr lr0 eta": "lr",
        "batch bs batchsz minibatch minibatchsize trainbatchsize imagesperstep": "batch_size",
        "epoch nepochs numepochs maxepochs": "epochs",
        "wd decay l2 l2reg l2regularization": "weight_decay",
        "l1 l1reg gradclip clip clipnorm clipgrad gradientclipping maxgradnorm mixup cutmix amp fp16 bf16 precision"
        " dtype mixedprecision init initialization weightinit initializer classweights classweight": NONE_HERE,
        "droprate dropoutrate dropoutprob pdrop drop": "dropout",
        "opt optim": "optimizer",
        "scheduler lrscheduler lrschedule": "schedule",
        "criterion lossfn lossfunction": "loss",
        "layers layer net model architecture arch": "network",
        "augmentation augmentations transform transforms dataaugmentation aug": "augment",
        "ema ewa movingaverage polyak": "average",
        "swa": "there is none here: 'average' is an exponential moving average, which is something else",
        "sam": "sharpness_aware",
        "distillation distil kd teacher teachers": "distill",
        "order steps blockorder": "block",
        "activation activations act nonlinearity relu": f'{_ONLY_RELU}: block = "conv relu norm dropout"',
        "norm bn batchnorm batchnormalization": 'a step of a block: block = "conv relu norm dropout"',
        "normalize normalise normalization normalisation standardize standardise mean std": _NORMALISED,
        "shuffle": "leave it out: images are always drawn in a new order each epoch",
        "droplast": "there is none here: a smaller last batch is kept",
        "patience earlystopping earlystop": "no training stops early: its result is its last epoch",
        "sgd adam adamw muon": 'an optimizer is a table: optimizer = { kind = "adam" }',
        f"{_OTHER_OPTIMIZERS}": "there is no such optimizer here; known are 'sgd', 'adam', 'adamw' and 'muon'",
        "cosine onecycle linear plateau step steplr constant": 'a schedule is a table: schedule = { kind = "cosine" }',
        "crossentropy": "leave it out: the loss is cross-entropy",
        "seed seeds": _WHOLE_CLIMB + "stepladder climb my.toml --seeds 8",
        "device gpu cuda": _WHOLE_CLIMB + "stepladder climb my.toml --device cuda",
        "engine backend": _WHOLE_CLIMB + "stepladder climb my.toml --engine torch",
        "jobs workers numworkers nworkers threads": _WHOLE_CLIMB + "stepladder climb my.toml --jobs 2",
        "imagesize inputsize resolution resize channels": "leave it out: images are taken as they are",
        "nclasses numclasses classes": "leave it out: the data say how many classes there are",
        "pretrained weights checkpoint": "there is none here: every training starts from its seed",
    },
    "augment": {
        "rotation rotate rotations randomrotation rotationdegrees rotationrange degrees angle": "rotation_deg",
        "shift shiftpixels": "shift_px",
        "translate translation randomtranslation widthshiftrange heightshiftrange": (
            "write shift_px: in pixels, not as a fraction of the image's side"
        ),
        "zoom zoomrange randomzoom randomscale scaling": "write scale: 0.1 for up to 10% larger or smaller",
        "shear shearing randomshear shearrange": "shear_deg",
        "hflip horizontalflip randomhorizontalflip fliplr flip flips randomflip flipleftright mirroring": "mirror",
        "vflip verticalflip randomverticalflip flipud": "there is none here: 'mirror' flips horizontally",
        "elastic elastictransform elasticdeformation elasticdistortion": "elastic_px",
        "cutout cutoutsize": "cutout_px",
        "randomerasing erasing": "there is none here: cutout_px blackens a square of one size, which is something else",
        "crop randomcrop": "there is none here: shift_px moves the image, with zeros outside",
        "randomresizedcrop": "there is none here: scale and shift_px enlarge and move the image",
        "mixup cutmix randaugment autoaugment trivialaugment augmix colorjitter brightness contrast saturation hue"
        " noise gaussiannoise blur gaussianblur perspective grayscale invert": NONE_HERE,
        "normalize normalise normalization": _NORMALISED,
        "probability prob": "leave it out: each image is distorted, by a random amount",
        "kind type": "leave it out: write the fields, as in augment = { rotation_deg = 10.0 }",
    },
    "optimizer": {
        "type name optimizer algorithm": "kind",
        "beta betas": "write beta1 and beta2, for 'adam' and 'adamw'; of 'sgd' and 'muon' it is momentum",
        "eps": "epsilon",
        "mom mu": "momentum",
        "nesterovmomentum": "nesterov",
        "nssteps newtonschulzsteps": "n_steps",
        "learningrate": "it belongs in the recipe: lr = 0.01",
        "wd decay": "it belongs in the recipe: weight_decay = 0.0005",
        "dampening amsgrad centered alpha rho foreach fused capturable maximize differentiable": NONE_HERE,
    },
    "schedule": {
        "type name scheduler": "kind",
        "gamma decayrate": "factor",
        "stepsize every period decaysteps": "every_epochs",
        "milestones": "there are none here: drops come every_epochs apart",
        "tmax totalsteps stepsperepoch nepochs totalepochs maxepochs epochs duration": _FIXED,
        "etamin minlr finallr endlr lrmin": "write final, a fraction of lr: the lowest learning rate divided by lr",
        "alpha": "write final, a fraction of lr",
        "pctstart": "rise",
        "divfactor": "write start = 1 / div_factor: it is a fraction of lr",
        "initiallr startlr": "write start, a fraction of lr: the first learning rate divided by lr",
        "finaldivfactor": "write final = 1 / (div_factor * final_div_factor): it is a fraction of lr",
        "lr maxlr baselr learningrate": "it belongs in the recipe: lr = 0.01, the highest that a schedule goes",
        "warmup warmupsteps warmupepoch nwarmup warmuplen": "write warmup_epochs, with 'step', 'cosine' or 'linear'",
        "cooldown": NONE_HERE,
        "mode metric monitor": "leave it out: a plateau is one of the training loss",
        "annealstrategy threephase cyclemomentum basemomentum maxmomentum": "leave it out: two half cosines",
        "lastepoch verbose": "leave it out",
        "t0 tmult restarts cycles": "there are no restarts here",
    },
    "schedule kind": {
        "steplr stepdecay staircase": "step",
        "multistep multisteplr piecewise": "there is none here: the drops of 'step' come at equal distances",
        "exponential exponentiallr exp": 'write kind = "step", every_epochs = 1, and the rate as factor',
        "cos cosineannealing cosineannealinglr cosinedecay cosinelr": "cosine",
        "cosineannealingwarmrestarts cosinerestarts warmrestarts sgdr": "there is none here: 'cosine' has no restarts",
        "lineardecay": "linear",
        "linearlr linearwarmup warmup": "'linear' falls along a line; a rise at the start is warmup_epochs",
        "onecyclelr onecyclepolicy 1cycle superconvergence": "one-cycle",
        "reducelronplateau reduceonplateau": "plateau",
        "none no fixed constantlr const": "constant",
        "polynomial poly polynomiallr cyclic cycliclr triangular lambda lambdalr inverse invsqrt noam wsd": NONE_HERE,
    },
    "optimizer kind": {
        _OTHER_OPTIMIZERS: "there is none here; known are 'sgd', 'adam', 'adamw' and 'muon'",
        "momentum sgdm sgdmomentum": 'write kind = "sgd", momentum = 0.9',
        "nesterov nag": 'write kind = "sgd", momentum = 0.9, nesterov = true',
        "adamweightdecay": "adamw",
    },
    "loss kind": {
        "ce xent nll nllloss crossentropyloss categoricalcrossentropy sparsecategoricalcrossentropy softmax": (
            "cross-entropy"
        ),
        "mse l2 l1 mae hinge focal bce bceloss binarycrossentropy kl kldiv": "the only loss is 'cross-entropy'",
    },
    "loss": {
        "type name": "kind",
        "smoothing labelsmooth epsilon eps": "label_smoothing",
        "weight weights classweights classweight reduction": NONE_HERE,
    },
    "average": {
        "decay beta momentum alpha": (
            "write horizon_epochs: a decay of d a step is a horizon of 1 / (1 - d) steps, over the steps of an epoch"
        ),
        "horizon": "horizon_epochs",
        "every interval updateevery": "every_steps",
    },
    "sharpness_aware": {"rho": "radius", "adaptive": NONE_HERE},
    "distill": {
        "teacher teachernetwork model layers": "network",
        "alpha weight lambda": "write share: the teachers' share of the targets",
        "temperature t tau": "there is none here: targets are the teachers' probabilities",
        "seed": "seeds",
        "epochs lr": "leave it out: a teacher has the rung's own recipe, and another network",
    },
    "budget": {
        "parameters nparams nparameters maxparams size weights": "params",
        "epoch nepochs maxepochs": "epochs",
        "macs flops multiplyadds ram flash memory bytes kb time": "a budget is of params and epochs alone",
    },
    "target": {
        "acc accuracypercent top1": "accuracy",
        "lastepoch nlastepochs consistentepochs consistent epochs for": "last_epochs",
        "loss error errorrate f1 auc": "a target is an accuracy, in percent: 100 minus the error",
    },
    "rung": {
        **_OF_A_CHANGE,
        "parent base from below on": "leave it out: each rung builds on the one before it, and what hangs on another is"
        " its [[rung.variant]]",
        "variants ablation ablations": "variant",
        "accuracy lastepochs": "write target = { accuracy = 99.4, last_epochs = 5 }",
    },
    "variant": {
        **_OF_A_CHANGE,
        "parent base from below on": "leave it out: a variant hangs on the [[rung]] that it stands below",
        "budget target accuracy lastepochs": "leave it out: a variant has that of the rung that it hangs on",
    },
    "evaluate_on": {"val valid validation heldout development": "dev", "t10k testing": "test"},
    "ladder": {
        "title label id": "name",
        "description desc notes": "about",
        "dataset datasets images datapath dataroot": "data",
        "sha256 hash checksum": "data_sha256",
        "split evalon evaluate evaluation": "evaluate_on",
        "dev val nval valsize devsize ndev validation validationimages validationsize": "dev_images",
        "version schemaversion": "format_version",
        "rungs step steps experiment experiments runs": "rung",
        "recipe": "it belongs in the bottom rung: a [[rung]] and below it [rung.recipe]",
        "change": "it belongs in a rung: a [[rung]] and below it change = { ... }",
        "variant variants": "it hangs on a rung: write [[rung.variant]], below the [[rung]] that it hangs on",
        "seed seeds": _WHOLE_CLIMB + "stepladder climb my.toml --seeds 8",
        "engine device": _WHOLE_CLIMB + "stepladder climb my.toml --engine torch --device cuda",
    },
    "tracker": {
        "tb tensorboardx tfevents": "tensorboard",
        "weightsandbiases weightsbiases wb": "wandb",
        "ml mlflowskinny": "mlflow",
        "aim comet neptune clearml": "there is none here; a package can bring one, see docs/extending.md",
    },
    "engine": {
        "pytorch": "torch",
        "cpu": "jit is the engine for CPUs",
        "gpu cuda": "write --device cuda: the torch engine trains there",
        "llvm llvmlite numba native compiled": "jit",
        "tensorflow tf keras jax flax mlx onnx": "there is none here; known are auto, jit and torch",
    },
    "device": {
        "gpu nvidia": "cuda",
        "cuda0": "write cuda: the first GPU is taken",
        "mps metal rocm tpu xla": NONE_HERE,
    },
    "place to train": {
        "tcp tls ucx": "the address of a Dask scheduler is written dask://HOST:PORT",
        "distributed daskdistributed": "dask",
        "sbatch srun submitit": "slurm",
        "here localhost thismachine processes process multiprocessing threads loky joblib": "local",
        "ray parsl mpi mpi4py spark pbs sge lsf": "write python:MODULE:FUNCTION, a function of yours that gives an"
        " executor of concurrent.futures: docs/clusters.md shows some",
        "ssh host kubernetes k8s aws": "run 'dask scheduler' and 'dask worker' there, and write dask://HOST:PORT",
    },
    "format": {
        "htm page web": "html",
        "md mdown readme": "markdown",
        "pdf ps print": "write html, and print that page to PDF in a browser",
        "png svg jpg jpeg": "write html: its charts and pictures can be copied from a browser",
        "tex latex rst txt text ipynb docx": "write markdown, which pandoc turns into most others",
        "xlsx xls excel tsv ods": "csv",
        "jsonl": "json",
    },
    "command": {
        "train fit run start go learn resume continue": "climb",
        "eval evaluate test results result status summary table ls-runs": "show",
        "plot html export page chart": "report",
        "list ls all": "ladders",
        "diff verdict verdicts ablate": "compare",
        "validate verify lint dryrun info describe": "check",
        "tune optimize optimise nas hpo sweep": "search",
        "records record replicate repeat": "reproduce",
        "live serve watch dashboard": "write stepladder climb my.toml --live",
        "ablation": "write stepladder climb my.toml --down",
        "track tracker log tensorboard mlflow wandb trackio": "replay",
        "help": "write stepladder --help",
        "version": "write stepladder --version",
        "init create generate scaffold template": "new",
        "classify infer inference": "predict",
    },
    "option": {
        "seed nseeds": "--seeds",
        "workers numworkers nworkers j processes threads parallel": "--jobs",
        "gpu cuda": "write --device cuda",
        "cpu": "write --device cpu",
        "backend": "--engine",
        "out outputfile file outfile": "--output",
        "dir folder runs outputdir rundir": "--store",
        "pdf": "write --format html, and print that page to PDF in a browser",
        "markdown md": "write --format markdown",
        "csv": "write --format csv",
        "html": "write --format html",
        "data dataset": 'it belongs in the ladder: data = "my-images.npz"',
        "target accuracy": "it belongs in the ladder: target = { accuracy = 99.4 }",
        "budget": "it belongs in the ladder: budget = { params = 8000, epochs = 15 }",
        "params parameters": "it belongs in the ladder: budget = { params = 8000 }",
        "rung": "name no rung: a climb trains what is not stored yet, --top the top rung alone",
        "overwrite yes y": "--force",
        "maxseconds timeout timelimit time": "--max-time",
        "ntrials": "--trials",
    },
}


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word.replace("-", ""): meant for words, meant in table.items() for word in words.split()}


REMEDIES = {place: _by_word(table) for place, table in _TABLES.items()}

_OURS = {
    "conv depthwise maxpool avgpool gap residual squeezeexcite linear stride pad bias nobias bare block relu leaky norm"
    " dropout sgd adam adamw muon constant step cosine onecycle plateau crossentropy jit torch auto": ""
}

FIELD_WORDS = frozenset(word for table in (_by_word(_OURS), *REMEDIES.values()) for word in table)
"""Words that mean something of their own wherever they stand: none is a slip of the keyboard for another."""


def remedy(place: str, plain: str) -> str | None:
    """What to write instead of a word at a place; None for a word that is not known there."""
    return REMEDIES.get(place, {}).get(plain)
