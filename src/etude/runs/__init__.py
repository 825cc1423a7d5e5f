"""The run: steps, log, checkpoints, results and figures of one execution, and its folder."""
