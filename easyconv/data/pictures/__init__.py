"""From a file or a PIL image to the bytes of one size."""
