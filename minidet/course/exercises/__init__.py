"""The exercises of each assignment: inputs, hints and known mistakes."""
