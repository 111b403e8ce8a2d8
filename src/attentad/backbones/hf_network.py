"""A network of transformers as a module that opens it when it is first used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attentad.core import AttentadError
from attentad.core.wording import first_few, reason_of

Pool = Literal["mean", "cls", "pooled"]
INPUTS = ("pixel_values", "pixel_values_videos")


class HuggingFaceNetwork(nn.Module):
    """Features of pictures or clips.

    It has no parameters of its own: its weights stay in their files.

    Args:
        find: gives the folder of its files, checked.
        pool: how its tokens become a feature, see `hf.hf`.
    """

    def __init__(self, find: Callable[[], Path], pool: Pool) -> None:
        super().__init__()
        self._find, self._pool = find, pool
        self._opened: tuple[nn.Module, ...] = ()  # in a tuple it is no submodule

    def open(self) -> nn.Module:
        """The network itself, read from its files at the first call.

        Raises:
            AttentadError: the files are not there, do not fit, or lack weights.
        """
        if not self._opened:
            self._opened = (_load(self._find(), self._pool),)
        return self._opened[0]

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (B, C) of normalised pictures (B, 3, H, W), or clips (B, L, 3, H, W).

        Raises:
            AttentadError: it cannot take clips or pictures of that size.
        """
        network = self.open().to(pictures.device)
        takes = inspect.signature(network.forward).parameters
        options: dict[str, Any] = {"skip_predictor": True} if "skip_predictor" in takes else {}
        name = str(network.main_input_name)
        try:
            output = network(**{name: pictures}, **options)
            feature = _pooled(output, self._pool)
        except AttentadError:
            raise
        except Exception as error:  # each network refuses in its own way
            shape = " × ".join(map(str, pictures.shape[1:]))
            raise AttentadError(
                f"hf: {type(network).__name__} cannot take an input of {shape} "
                f"({reason_of(error)}); leave window_frames and size_px out, or change pool."
            ) from error
        return feature.float()


def _load(folder: Path, pool: Pool) -> nn.Module:
    from transformers import AutoModel

    try:
        with _silent():
            network, told = AutoModel.from_pretrained(
                folder,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # whatever a stranger's file makes of it
        raise AttentadError(
            f"{folder}: transformers cannot load it ({reason_of(error)})."
        ) from error
    # What the files lack would stay as it was drawn at random.
    drawn = sorted(
        name for name in told["missing_keys"] if pool == "pooled" or "pooler" not in name
    )
    if drawn:
        raise AttentadError(f"{folder}: its weights lack {first_few(drawn)}; use another network.")
    if getattr(network, "main_input_name", None) not in INPUTS:
        raise AttentadError(
            f"{folder} holds {type(network).__name__}, which takes neither pictures nor clips; use "
            "another network."
        )
    return network.eval()


def _pooled(output: Any, pool: Pool) -> Tensor:
    """(B, N, C) tokens, or (B, C, H, W) of a convolutional network, → (B, C)."""
    if pool == "pooled":
        if getattr(output, "pooler_output", None) is None:
            raise AttentadError(
                "hf: the network has no output of its own that is pooled; set pool."
            )
        return output.pooler_output.flatten(1)
    tokens = output.last_hidden_state
    if tokens.ndim == 4:
        if pool == "cls":
            raise AttentadError("hf: a convolutional network has no first token; set pool to mean.")
        return tokens.mean(dim=(2, 3))
    return tokens[:, 0] if pool == "cls" else tokens.mean(dim=1)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the bars and reports that transformers prints while it loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
