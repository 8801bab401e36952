"""Training: optimisers, schedules, losses by name, the loop, callbacks, checkpoints."""
