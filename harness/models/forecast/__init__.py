"""Networks that forecast windows (B, L, C) to (B, H, C): spiking TCN, GRU, iSpikformer and counterparts.

Sources: SeqSNN (arXiv 2402.01533) and TS-LIF (arXiv 2503.05108). What their released code does and
these networks do not:

- state is functional: nothing is carried from batch to batch, no reset can be forgotten;
- mixing weights of TS-LIF sit on features, never on time positions;
- the GRU's hidden-to-hidden weight sees the last output, so it gets a gradient;
- every neuron reads out the same features: a comparison of neurons is one of neurons alone;
- iSpikformer's T is a time axis for TS-LIF too, never a batch axis;
- the TCN hands every feature of a variate to the readout, not one scalar (``readout: scalar`` does).
"""

from harness.models.forecast.build import BACKBONES, ForecastNet, NetParams, build_forecaster

__all__ = ["BACKBONES", "ForecastNet", "NetParams", "build_forecaster"]
