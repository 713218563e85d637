"""Any residual module, of whatever family: its shortcuts found, measured, and watched in training.

`running` runs somebody's module and leaves it as it was, `shortcuts` finds which additions of a
forward pass are shortcuts, `measuring` records refinement, responses and zeros over batches,
`watching` makes a recording of a training loop that is not ours.
"""
