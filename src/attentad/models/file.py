"""The model file: weights and the contract they were made under, in one safetensors file.

Opening a stranger's file never runs code. This module does not import Lightning, so detection
does not need it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from attentad.core import AttentadError
from attentad.core.files import write_bytes

FORMAT = 2
# A single metadata key: safetensors writes several in an order that changes from run to run.
_KEY = "attentad"


def save_model(
    path: str | Path, tensors: Mapping[str, Tensor], contract: Mapping[str, Any]
) -> None:
    """Write tensors and contract, whole or not at all; the same input gives the same bytes.

    Args:
        path: usually `*.safetensors`.
        tensors: name → tensor, on any device; tensors that share memory are stored separately.
        contract: anything JSON can hold; `format` and `crc32` are added.

    Raises:
        AttentadError: the file cannot be written.
        TypeError: the contract holds something JSON cannot.
    """
    # A clone each: safetensors refuses views and tied weights.
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    content = {**contract, "format": FORMAT, "crc32": _checksum(plain)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, safetensors_bytes(plain, metadata={_KEY: text}))


def load_model(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a model file: name → tensor on the CPU, and the contract.

    Raises:
        AttentadError: the file is missing, is not a model file of attentad, is damaged, or comes
            from a newer version.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a model file" if path.is_dir() else "does not exist"
        raise AttentadError(f"{path} {reason}; give the .safetensors file that training wrote.")
    contract = _contract(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError, RuntimeError) as error:
        raise AttentadError(
            f"{path} is damaged ({_short(error)}); fetch or train it again."
        ) from error
    if _checksum(tensors) != contract.pop("crc32", None):
        raise AttentadError(f"{path} is damaged (its checksum differs); fetch or train it again.")
    return tensors, contract


def _contract(path: Path) -> dict[str, Any]:
    header = _header(path)
    text = header.get("__metadata__", {}).get(_KEY)
    try:
        contract = json.loads(text) if isinstance(text, str) else None
    except json.JSONDecodeError:
        contract = None
    if not isinstance(contract, dict) or not isinstance(contract.get("format"), int):
        raise AttentadError(
            f"{path} is a safetensors file, but not a model of attentad; give one that attentad "
            "trained."
        )
    if contract["format"] > FORMAT:
        raise AttentadError(
            f"{path} has model format {contract['format']}, newer than the {FORMAT} that this "
            "version reads; upgrade attentad."
        )
    return contract


def _header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file: 8 bytes of length, little-endian, then JSON."""
    not_ours = AttentadError(
        f"{path} is not a model file (not safetensors); give the .safetensors file that training "
        "wrote."
    )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= size - 8:
                raise not_ours
            header = json.loads(file.read(length))
    except OSError as error:
        raise AttentadError(f"{path} could not be read ({_short(error)}).") from error
    except ValueError:
        raise not_ours from None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise not_ours
    return header


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 over the bytes of all tensors in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        flat = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        crc = zlib.crc32(flat.numpy().data, crc)
    return crc


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
