"""Everything that is drawn or tabulated. Reads arrays and results files only; knows nothing of models or data."""
