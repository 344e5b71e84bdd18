"""Says which keys of a checkpoint do not fit the network, in words a person can act on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from models.weights.arrays import Shape

_SHOWN = 5
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def explain(expected: Mapping[str, Shape], state: Mapping[str, Shape]) -> str | None:
    """Compare the keys and shapes of a checkpoint with the network's.

    Args:
        expected: Shapes of the network's own, of the checkpoint's backbone.
        state: Shapes of the checkpoint's.

    Returns:
        The rest of a sentence that begins with the checkpoint; None if they agree.
    """
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} is {list(state[key])}, not {list(expected[key])}"
        for key in expected
        if key in state and state[key] != expected[key]
    ]
    if not (missing or unexpected or misshapen):
        return None
    if _is_of_early_2024(state):
        return (
            "it is of the architecture of early 2024 (BiRefNet-ep480, BiRefNet-DIS_ep580; files of "
            "849 MB), recognised by the lack of decoder.ipt_blk5 and decoder.gdt_convs_4; no later "
            "network can load it: take a model of the catalogue"
        )
    if missing and not unexpected and not misshapen and _are_batch_norms(missing, expected):
        return (
            "the batch norms outside its backbone are missing "
            f"({_first(missing)}): it was saved from a network built with batch size 1, which has "
            "none; save it again from one built with a batch size above 1"
        )
    parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
    return "its keys are another network's: " + "; ".join(
        f"{len(keys)} {what} ({_first(keys)})" for what, keys in parts if keys
    )


def _is_of_early_2024(state: Mapping[str, Shape]) -> bool:
    """Whether the decoder is the first published one.

    Source:
        lldacing/ComfyUI_BiRefNet_ll@28e3ce7 ``birefnet_old/models/birefnet.py``, which keeps it:
        four source references instead of five, gradient attention on two scales instead of three.
    """
    return _has(state, "decoder.ipt_blk4.") and not (
        _has(state, "decoder.ipt_blk5.") or _has(state, "decoder.gdt_convs_4.")
    )


def _has(keys: Iterable[str], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in keys)


def _are_batch_norms(missing: Sequence[str], expected: Mapping[str, Shape]) -> bool:
    """Whether all that is missing are parameters and statistics of whole batch norms."""
    modules = {key.rpartition(".")[0] for key in missing}
    return len(missing) == len(modules) * len(_BATCH_NORM) and all(
        f"{module}.running_mean" in expected and not module.startswith("bb.") for module in modules
    )


def _first(keys: Sequence[str]) -> str:
    more = ", ..." if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
