"""docs/benchmarks.md, from the JSON file."""

import statistics
from typing import Any

from benchmarks.breakdown import goals_reached, where_the_time_goes
from benchmarks.contestants import CONTESTANTS
from benchmarks.figures import WIDER, different, ratios, spread
from benchmarks.recipes import RECIPES

__all__ = ["page", "sameness", "table"]

NONE = "\N{EN DASH}"

_FIT_COST = """## What `fit` itself costs

Microseconds per step beyond the barest loop, which runs right after: time on the processor, one thread, {rounds}
rounds. That loop gathers, and does forward, loss, backward and `torch.optim.SGD(fused=True)`, with no sums and no
accuracy. The cost shall not grow with anything but callbacks and metrics. Perceptron 64-32-10, batches of 64, one epoch
of 100 batches where nothing else is said.
"""


def table(section: dict[str, Any]) -> str:
    """One workload, as Markdown."""
    lines = ["| contestant | seconds: median [min max] | ratio to the base |", "|---|---|---|"]
    for name, values in section["contestants"].items():
        lines.append(f"| {_title(name)} | {spread(values['seconds'], '.3f')} | {spread(ratios(section, name))} |")
    return "\n".join(lines)


def sameness(section: dict[str, Any]) -> str:
    """Whether all contestants computed the same loss on a few rows in order."""
    if section["verb"] == "learn":
        accuracies = {name: spread(values["accuracy"], ".2%") for name, values in section["contestants"].items()}
        return "; ".join(f"{_title(name)} {text}" for name, text in accuracies.items())
    found = different(section)
    if section["base"] not in section["contestants"]:
        return f"(no {section['base']} loop to compare with)"
    others = ", ".join(f"{_title(name)} by {share:.2%}" for name, share in found.items())
    return f"Different loss: {others}" if found else "All compute the same loss."


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    sections = [_head(results), goals_reached(results), _training(results), _learning(results), _imports(results)]
    sections += [_memory(results), _fit_cost(results), where_the_time_goes(results), _notes(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(results: dict[str, Any]) -> str:
    about = results["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    minutes = sum(results["minutes"].values())
    quick = (
        "**These are figures of a `--quick` run, on few rows: they show that all works, and are not to be quoted.**\n\n"
        if about["quick"]
        else ""
    )
    remark = f"{about['remark']}\n\n" if about["remark"] else ""
    return f"""# Benchmarks

<!-- made by `python tests/benchmarks report` from benchmarks.json; edit tests/benchmarks/report.py -->

`make bench` measures this page: easyconv beside loops written by hand and six other libraries. It sets up what it
needs (the extra `bench`); a whole run has five rounds and takes about half an hour on two cores that have nothing else
to do; this one took {minutes:.0f}. `python tests/benchmarks run --help` tells how to choose workloads, contestants,
rounds and threads; `python tests/benchmarks report` makes the page and the picture anew.

{quick}{remark}{about["processor"]}, {about["cores"]} cores, threads of each process: {about["threads"]}; the CPU only,
{about["system"]}. Data: {", ".join(about["data"].values())}.

{versions}.

![Time of each contestant, as a ratio to the tutorial loop](images/benchmarks.png)

- Each contestant has a process of its own and does the same: the same net from the same weights, the same rows,
  batches of 64, SGD with momentum 0.9, and mean loss and accuracy of the training rows. Before the clock runs all train
  on a few rows in the same order, and their losses are compared.
- They take turns in rounds, so that whatever else the machine does hits all alike. What counts are the ratios within a
  round: median [min max] over the rounds. Lower is better. Read the order, not the last digit.
- Libraries are used as their own tutorials do, silent, without checkpoints and loggers. Keras gets the torch net in its
  `TorchModuleWrapper`, which is kind to it: its own layers do more.
- *Tutorial loop*: a `DataLoader`, and `.item()` every batch. *Tuned loop*: the best we can write by hand: whole batches
  gathered, pictures read once, sums on the device, channels last, the fused optimizer."""


def _training(results: dict[str, Any]) -> str:
    found = {key: section for key, section in results["workloads"].items() if section["verb"] != "learn"}
    if not found:
        return ""
    names = [name for name in CONTESTANTS if any(name in section["contestants"] for section in found.values())]
    lines = ["## Training and predicting", "", "Ratios to the tutorial loop of the same round.", ""]
    lines += [f"| | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        lines.append(f"| {_title(name)} | {' | '.join(_cell(section, name) for section in found.values())} |")
    lines += ["", "| | workload | rows | rounds | tutorial loop, one repetition |", "|---|---|---|---|---|"]
    for key, section in found.items():
        base = section["contestants"].get(section["base"])
        lines.append(
            f"| {key} | {section['title']} | {section['rows']:,} | {section['rounds']} | {_repetition(section, base)} |"
        )
    return "\n".join([*lines, "", _all_the_same(found)])


def _repetition(section: dict[str, Any], base: dict[str, Any] | None) -> str:
    if base is None:
        return NONE
    seconds = statistics.median(base["seconds"])
    return f"{seconds:.2f} s, {1e3 * seconds / section['steps']:.2f} ms per batch"


def _cell(section: dict[str, Any], name: str) -> str:
    if name not in section["contestants"]:
        return ""
    text = "1" if name == section["base"] else spread(ratios(section, name))
    return f"**{text}**" if name.startswith("easyconv") else text


def _all_the_same(found: dict[str, dict[str, Any]]) -> str:
    odd = [
        f"{key}: {_title(name)} by {share:.2%}"
        for key, section in found.items()
        for name, share in different(section).items()
    ]
    low = " and ".join(f"{share:.0%}" for share in sorted(set(WIDER.values())))
    if odd:
        return f"The losses of the check differ more than they should for {'; '.join(odd)}."
    return f"The losses of the check are all within 0.01 % of the tutorial loop's ({low} where bfloat16 computes)."


def _learning(results: dict[str, Any]) -> str:
    found = {key: section for key, section in results["workloads"].items() if section["verb"] == "learn"}
    if not found:
        return ""
    lines = ["## Time to accuracy", ""]
    lines += [
        "The recipes in tests/benchmarks/recipes.py, in a loop written by hand and through `fit`, each round from new"
    ]
    lines += ["weights. The clock runs from bytes in memory to the end of training; testing is not counted.", ""]
    lines += [
        "| goal | who | seconds | ratio to the loop | test accuracy | reached | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, section in found.items():
        goal = RECIPES[key].goal
        for name, values in section["contestants"].items():
            reached = sum(accuracy >= goal for accuracy in values["accuracy"])
            cells = [section["title"], _title(name), spread(values["seconds"], ".1f"), spread(ratios(section, name))]
            cells += [spread(values["accuracy"], ".2%"), f"{reached} of {section['rounds']}", str(section["rounds"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _imports(results: dict[str, Any]) -> str:
    if "imports" not in results:
        return ""
    modules = results["imports"]["modules"]
    base = modules["torch"]
    lines = [f"## Import\n\nA fresh process each, {results['imports']['rounds']} rounds.\n"]
    lines += ["| | seconds | beyond torch, s | memory, MB | beyond torch, MB |", "|---|---|---|---|---|"]
    for module, values in modules.items():
        beyond = [
            [mine - other for mine, other in zip(values[word], base[word], strict=True)]
            for word in ("seconds", "peak_mb")
        ]
        cells = [f"`import {module}`", spread(values["seconds"]), spread(beyond[0]), spread(values["peak_mb"], ".0f")]
        lines.append(f"| {' | '.join([*cells, spread(beyond[1], '.0f')])} |")
    return "\n".join(lines)


def _memory(results: dict[str, Any]) -> str:
    if "memory" not in results:
        return ""
    section = results["memory"]
    lines = [
        f"## Memory\n\nPeak of the process: {section['title']}, {section['rows']:,} in this run, after the data is in"
    ]
    lines += [
        f"memory. {section['rounds']} rounds.\n",
        "| | peak, MB | of which came with `fit`, MB |",
        "|---|---|---|",
    ]
    for name, values in section["contestants"].items():
        lines.append(f"| {_title(name)} | {spread(values['peak_mb'], '.0f')} | {spread(values['growth_mb'], '.0f')} |")
    return "\n".join(lines)


def _fit_cost(results: dict[str, Any]) -> str:
    if "fit-cost" not in results:
        return ""
    section = results["fit-cost"]
    lines = [_FIT_COST.format(rounds=section["rounds"]), "| | | | |", "|---|---|---|---|"]
    for group, cases in section["per_step"].items():
        cells = [f"{name}: {spread(values, '.0f')}" for name, values in cases.items()]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    lines += ["", "Start and end of `fit`: milliseconds before the first batch and after the last.", ""]
    lines += ["| | a new model | once more |", "|---|---|---|"]
    for name, values in section["start_up"].items():
        lines.append(f"| {name} | {spread(values['new'], '.1f')} | {spread(values['again'], '.1f')} |")
    return "\n".join(lines)


def _notes(results: dict[str, Any]) -> str:
    notes = [f"- {_title(name)}: {why}." for name, why in results["left_out"].items()]
    others = [(key, results.get(key, {})) for key in ("memory", "profile")]
    for key, section in [*results["workloads"].items(), *others]:
        notes += [f"- {_title(name)} in {key}: {why}." for name, why in section.get("failed", {}).items()]
    return "\n".join(["## Left out", "", *notes]) if notes else ""


def _title(name: str) -> str:
    return CONTESTANTS[name].title if name in CONTESTANTS else name
