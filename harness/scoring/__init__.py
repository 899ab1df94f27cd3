"""Tables to values to boards: statistics, ranks, time to target, costs. Pure: no torch, no ray."""
