"""Whether a number that is logged should rise or fall, told by its name."""

import difflib

from easyconv.names import normalize

__all__ = ["larger_is_better", "meant_name"]

_RISES = (
    "acc", "auc", "auroc", "bleu", "dice", "f1", "iou", "jaccard", "kappa", "precision", "psnr", "r2", "recall",
    "score", "sensitivity", "specificity", "ssim", "top",
)  # fmt: skip
_FALLS = ("bce", "error", "hinge", "huber", "loss", "mae", "mape", "mse", "nll", "perplexity", "rmse")


def larger_is_better(name: str) -> bool | None:
    """Whether high values are good; ``None`` where the name does not tell.

    The last word that is known decides: ``top5_error`` falls.

    Examples
    --------
    >>> larger_is_better("val_accuracy"), larger_is_better("top5_error"), larger_is_better("wobble")
    (True, False, None)
    """
    for word in reversed(normalize(name).split("_")):
        if word.startswith(_FALLS) or word.endswith(_FALLS):
            return False
        if word.startswith(_RISES):
            return True
    return None


def meant_name(name: str) -> str | None:
    """The name that a misspelt one probably means, by its last word.

    Examples
    --------
    >>> meant_name("val_acuracy"), meant_name("los"), meant_name("wobble")
    ('val_accuracy', 'loss', None)
    """
    *before, last = normalize(name).split("_")
    near = difflib.get_close_matches(last, ["accuracy", *_RISES, *_FALLS], n=1, cutoff=0.75)
    return "_".join([*before, near[0]]) if near else None
