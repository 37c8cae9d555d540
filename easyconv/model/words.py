"""Keras's words that have no place here."""

__all__ = ["KERAS_WORDS"]

KERAS_WORDS = {
    "auto_scale_loss": "precision='fp16' scales the loss by itself.",
    "jit_compile": "Write jit=.",
    "learning_rate": "Write lr=.",
    "max_queue_size": "Batches are prefetched by a DataLoader(prefetch_factor=...).",
    "run_eagerly": "Nothing is compiled unless jit=True.",
    "steps_per_execution": "There is nothing to gain from it here: no step waits for the device.",
    "use_multiprocessing": "Workers belong to the DataLoader: DataLoader(dataset, num_workers=...).",
    "weighted_metrics": "Metrics are not weighed; weigh inside a function (output, target) -> tensor.",
    "workers": "Workers belong to the DataLoader: DataLoader(dataset, num_workers=...).",
}
"""Keras's words for the verbs that have no place here, and what to do instead."""
