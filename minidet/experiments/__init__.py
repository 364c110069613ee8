"""The paper's evidence at small scale: its numbers, the experiments, their runs, and what these say of its claims."""
