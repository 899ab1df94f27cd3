"""Tiny data sets, pipelines and neurons that tests of study files load as a plug-in."""

from typing import Literal

from harness.contracts import (
    Dataset,
    DatasetCard,
    Neuron,
    NeuronSpec,
    NoOptions,
    ParamsModel,
    Pipeline,
    Stage,
    param,
)
from harness.errors import MissingDataError


class Fake(Dataset):
    def prepare(self):
        raise NotImplementedError

    def split(self, arrays, name):
        raise NotImplementedError


class Toy(Fake):
    name = "toy"

    def card(self):
        return DatasetCard("toy", "r1", "classification", "nc", (4,), (6, 2, 2), classes=2)


class ToyOptions(NoOptions):
    valid: Literal["speaker", "random"] = "random"
    pixels: int = 8
    shape: tuple[int, ...] = ()


class ToyWithOptions(Fake):
    name = "toyopt"
    Options = ToyOptions

    def card(self):
        return DatasetCard("toyopt", "r1", "classification", "nc", (4,), (6, 2, 2), classes=2)


class ToySeries(Fake):
    name = "toyseries"

    def card(self):
        return DatasetCard("toyseries", "r1", "forecasting", "nlc", (8, 2), (6, 2, 2), horizon=3, variates=2)


class ToyFileOptions(NoOptions):
    path: str
    x: str = "x"


class ToyFile(Fake):
    name = "toyfile"
    source = True
    Options = ToyFileOptions

    def card(self):
        return DatasetCard("toyfile", "abc", "classification", "nc", (4,), (6, 2, 2), classes=2)


class ToyAbsent(Fake):
    name = "toyabsent"

    def card(self):
        raise MissingDataError("toyabsent", "/data/toy.h5", origin="the toy shop", sha256="00ff")


class ToyLeakParams(ParamsModel):
    tau: float = param(2.0, "membrane time constant", unit="steps", low=1.0, high=100.0)
    v_threshold: float = param(1.0, "threshold", low=0.0)


class ToyLif(Neuron):
    name = "toylif"
    Params = ToyLeakParams


class ToyPlifParams(ToyLeakParams):
    tau: float = param(2.0, "initial time constant", unit="steps", low=1.0, high=10.0)


class ToyPlif(Neuron):
    name = "toyplif"
    Params = ToyPlifParams


class ToyIfParams(ParamsModel):
    v_threshold: float = param(1.0, "threshold", low=0.0)


class ToyIf(Neuron):
    name = "toyif"
    Params = ToyIfParams


class ToyOptimizer(ParamsModel):
    lr: float = param(1.0e-3, "learning rate", low=1.0e-7, high=10.0, log=True)


class ToyDelay(ParamsModel):
    kind: Literal["none", "fixed", "learned"] = param("none", "delays")
    max: int = param(
        25, "longest delay", unit="steps", low=1, high=300, when={"delay.kind": ("fixed", "learned")}
    )


class ToyAnnParams(ParamsModel):
    batch_size: int = param(8, "samples a step", low=1)
    optimizer: ToyOptimizer = ToyOptimizer()


class ToySpikeParams(ToyAnnParams):
    timesteps: int = param(4, "T", unit="steps", low=1, high=1000)
    bias: bool = param(False, "whether layers have a bias")
    delay: ToyDelay = ToyDelay()
    neuron: NeuronSpec


class ToyPipeline(Pipeline):
    def incompatible(self, card):
        return None if card.task == "classification" else "it classifies, the data set asks for a forecast"

    def stages(self, params, epochs, seed):
        return (Stage("train", epochs),)

    def learner(self, job):
        raise NotImplementedError


class ToyAnn(ToyPipeline):
    name = "toyann"
    Params = ToyAnnParams


class ToySpike(ToyPipeline):
    name = "toyspike"
    Params = ToySpikeParams
    neurons = ("toylif", "toyplif", "toyif")
    default_neuron = "toylif"

    def published(self, card):
        if card.name == "toyopt":
            return None
        return {"optimizer.lr": 0.5, "neuron.tau": 2.5, "timesteps": 100, "delay.max": 12, "bias": True}


class ToyForecast(ToyPipeline):
    name = "toyforecast"
    Params = ToyAnnParams

    def incompatible(self, card):
        return None if card.task == "forecasting" else "it forecasts"
