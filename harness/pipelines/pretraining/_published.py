"""The paper's own configurations of the pretraining pipelines, by data set.

Source: arXiv 2203.01158 and its released code (docs/papers.md, pipeS and pipeD). Where the authors did
not publish a setting, the pipeline's default stands. Batch sizes are totals over their devices.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.space import Scalar

Settings = Mapping[str, Scalar]

PAPER_NEURON: Settings = {
    "v_threshold": 0.5,
    "tau": 4.0 / 3.0,
    "surrogate.name": "rect",
    "surrogate.width": 0.5,
}
"""The constants of the paper's static experiment: d = 0.25, a rectangular window of half width 0.5."""

_RECT: Settings = {"neuron.v_threshold": 0.5, "neuron.surrogate.name": "rect", "neuron.surrogate.width": 0.5}
_LIF_QUARTER: Settings = {"neuron.name": "lif", "neuron.tau": 4.0 / 3.0, **_RECT}
_PLIF_HALF: Settings = {"neuron.name": "plif", "neuron.tau": 2.648721, **_RECT}
_SGD: Settings = {"optimizer.name": "sgd", "optimizer.momentum": 0.9}

_IMAGENET: Settings = {
    "network.name": "resnet18-imagenet",
    "batch_size": 256,
    "timesteps": 6,
    "optimizer.lr": 0.1,
    "optimizer.weight_decay": 0.0,
    "augment.crop": 0.08,
    "precision": "amp",
    **_SGD,
    **_LIF_QUARTER,
}
_ES: Settings = {
    "network.name": "resnet18-es",
    "network.init": "stem",
    "network.norm": "bn",
    "batch_size": 154,
    "timesteps": 8,
    **_PLIF_HALF,
}
_DVS: Settings = {
    "network.name": "resnet18-es",
    "network.init": "stem",
    "network.norm": "bn",
    "batch_size": 25,
    "timesteps": 20,
    "optimizer.name": "adam",
    "optimizer.lr": 1.0e-3,
    "optimizer.weight_decay": 1.0e-5,
    "schedule.name": "cosine",
    "schedule.period": 60,
    "schedule.floor": 1.0e-8,
    **_PLIF_HALF,
    "neuron.surrogate.name": "gaussian",
    "neuron.surrogate.width": 1.0,
    "neuron.surrogate.shift": 0.2,
}
_DVS_42: Settings = {
    "batch_size": 256,
    "timesteps": 8,
    "optimizer.weight_decay": 1.0e-4,
    "schedule.name": "steps",
    "schedule.first": 30,
    "schedule.every": 30,
    "schedule.drops": 2,
    "schedule.gamma": 0.1,
}
_DVS_PIPE: Settings = {
    "warmup.epochs": 2,
    "liaf.optimizer.name": "adam",
    "liaf.optimizer.lr": 1.0e-3,
    "liaf.clamp": True,
}
_UCF: Settings = {
    "network.name": "crnn",
    "network.norm": "bn",
    "batch_size": 64,
    "timesteps": 15,
    "optimizer.name": "adam",
    "optimizer.lr": 1.0e-4,
    "schedule.name": "constant",
    "augment.flip": "each-frame",
    **_PLIF_HALF,
}

_TABLE: Mapping[tuple[str, str], Settings] = {
    ("direct", "imagenet"): {**_IMAGENET, "schedule.name": "constant"},
    ("pipe-s", "imagenet"): {
        **_IMAGENET,
        "schedule.name": "steps",
        "schedule.first": 2,
        "schedule.every": 2,
        "schedule.drops": 4,
        "schedule.gamma": 0.3,
        "sharpen.epochs": 100,
        "sharpen.optimizer.lr": 0.1,
        "sharpen.schedule.name": "constant",
        "inherit_momentum": True,
    },
    ("direct", "es-imagenet"): {
        **_ES,
        "optimizer.name": "adam",
        "optimizer.lr": 3.0e-2,
        "schedule.name": "steps",
        "schedule.first": 15,
        "schedule.every": 15,
        "schedule.drops": 1,
        "schedule.gamma": 0.3,
    },
    ("pipe-d", "es-imagenet"): {
        **_ES,
        "source.optimizer.lr": 0.1,
        "source.optimizer.weight_decay": 1.0e-4,
        "source.optimizer.nesterov": True,
        "source.schedule.name": "steps",
        "source.schedule.first": 8,
        "source.schedule.every": 8,
        "source.schedule.drops": 2,
        "source.schedule.gamma": 0.1,
        "warmup.epochs": 1,
        "liaf.epochs": 30,
        "liaf.optimizer.lr": 0.1,
        "liaf.optimizer.weight_decay": 1.0e-4,
        "liaf.optimizer.nesterov": True,
        "liaf.schedule.name": "steps",
        "liaf.schedule.first": 10,
        "liaf.schedule.every": 10,
        "liaf.schedule.drops": 2,
        "liaf.schedule.gamma": 0.1,
        "liaf.activation": "leaky_relu",
        "optimizer.name": "adam",
        "optimizer.lr": 1.0e-2,
        "schedule.name": "steps",
        "schedule.first": 8,
        "schedule.every": 8,
        "schedule.drops": 2,
        "schedule.gamma": 0.1,
    },
    ("direct", "cifar10-dvs"): _DVS,
    ("direct", "cifar10-dvs-128x20"): _DVS,
    ("direct", "cifar10-dvs-42"): {**_DVS, **_DVS_42},
    ("pipe-d", "cifar10-dvs"): {**_DVS, **_DVS_PIPE},
    ("pipe-d", "cifar10-dvs-128x20"): {**_DVS, **_DVS_PIPE},
    ("pipe-d", "cifar10-dvs-42"): {**_DVS, **_DVS_42, **_DVS_PIPE},
    ("direct", "es-ucf101"): _UCF,
    ("pipe-d", "es-ucf101"): {**_UCF, "warmup.epochs": 0, "source.augment.flip": "each-frame"},
}


def published(pipeline: str, dataset: str) -> Settings | None:
    """The settings for a pipeline and a data set, None if the paper has none."""
    return _TABLE.get((pipeline, dataset))
