"""Networks: topologies whose activations are switched, encoders, builders by name."""
