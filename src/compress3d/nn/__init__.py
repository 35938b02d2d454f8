"""Building blocks, one file each; a block knows nothing of the models that use it."""
