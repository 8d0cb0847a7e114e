"""Reports as pages: JSON of an evaluation or of a dataset's health to HTML that needs nothing else."""
