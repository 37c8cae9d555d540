"""What users make data with, and the parts of a data set."""
