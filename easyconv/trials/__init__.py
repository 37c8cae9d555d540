"""A few steps of training on a copy, timed: what would be faster is tried, not guessed."""
