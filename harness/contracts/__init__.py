"""All that a plug-in may import: data sets, pipelines, neurons, their parameters and registries.

A plug-in is one file with one class: a :class:`Dataset`, :class:`Pipeline` or :class:`Neuron` with a
``name``. Being in ``harness/datasets``, ``harness/pipelines`` or ``harness/neurons``, or being named
under ``plugins:`` in a study, registers it.

Axes: T timesteps, B batch, C channels, H height, W width. Inside networks time comes first
(``x_tbchw``); a :class:`Batch` holds samples first, in the layout that the card names.
"""

from harness.contracts.data import (
    ArraySplit,
    Batch,
    Dataset,
    DatasetCard,
    Events,
    EventSplit,
    NoOptions,
    Split,
)
from harness.contracts.neuron import Neuron, NeuronSpec
from harness.contracts.params import ParamInfo, ParamSchema, ParamsModel, param
from harness.contracts.pipeline import Job, Learner, Pipeline, Stage
from harness.contracts.registry import (
    datasets,
    load_plugins,
    neurons,
    pipelines,
)

__all__ = [
    "ArraySplit",
    "Batch",
    "Dataset",
    "DatasetCard",
    "EventSplit",
    "Events",
    "Job",
    "Learner",
    "Neuron",
    "NeuronSpec",
    "NoOptions",
    "ParamInfo",
    "ParamSchema",
    "ParamsModel",
    "Pipeline",
    "Split",
    "Stage",
    "datasets",
    "load_plugins",
    "neurons",
    "param",
    "pipelines",
]
