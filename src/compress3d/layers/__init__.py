"""Building blocks: one file a block, one equation a function. Layers know no model and no data set."""
