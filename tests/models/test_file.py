import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from attentad.core import AttentadError
from attentad.models.file import FORMAT, load_model, save_model
from attentad.training.weights import load_into

CONTRACT = {"classes": ["spin", "Überschlag"], "sampling": {"fps": 10.0}, "recipe": None}
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def tensors():
    base = torch.arange(6.0)
    return {
        "weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "view": base[::2],
        "shared": base,
        "count": torch.tensor(3),
        "none": torch.zeros(0, 4),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, tensors(), CONTRACT)
    return path


def test_round_trip(model):
    loaded, contract = load_model(model)
    assert contract == CONTRACT | {"format": FORMAT}
    assert loaded.keys() == tensors().keys()
    for name, value in tensors().items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
        st.tuples(st.lists(st.integers(0, 3), max_size=3), st.sampled_from(DTYPES)),
        max_size=5,
    ),
    contract=st.dictionaries(st.text(), st.none() | st.floats(-9, 9) | st.text()),
)
def test_any_tensors_and_contract_come_back(tmp_path_factory, shapes, contract):
    shapes.pop("__metadata__", None)
    content = {name: torch.ones(size, dtype=dtype) for name, (size, dtype) in shapes.items()}
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(path, content, contract)
    loaded, again = load_model(path)
    assert {k: v for k, v in again.items() if k != "format"} == {
        k: v for k, v in contract.items() if k not in ("format", "crc32")
    }
    assert loaded.keys() == content.keys()
    assert all(torch.equal(loaded[name], value) for name, value in content.items())


def test_same_input_same_bytes(model, tmp_path):
    other = tmp_path / "other.safetensors"
    save_model(other, dict(reversed(tensors().items())), dict(reversed(CONTRACT.items())))
    assert other.read_bytes() == model.read_bytes()


def broken(model, tmp_path):
    """Kind of damage → (file, words that the error must hold)."""
    content = model.read_bytes()
    flipped = bytearray(content)
    flipped[-3] ^= 1
    newer = content.replace(f'\\"format\\": {FORMAT}'.encode(), b'\\"format\\": 7')
    assert newer != content
    save_file({"a": torch.ones(2)}, tmp_path / "theirs.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "meta.safetensors", {"attentad": "[1]"})
    return {
        "empty": (b"", "not safetensors"),
        "text": (b"hello, this is a text file and no model at all", "not safetensors"),
        "zip": (b"PK\x03\x04" + bytes(100), "not safetensors"),
        "json": (len(b"[1]").to_bytes(8, "little") + b"[1]" + bytes(9), "not safetensors"),
        "truncated": (content[:-8], "damaged"),
        "half-header": (content[:40], "not safetensors"),
        "flipped": (bytes(flipped), "checksum"),
        "newer": (newer, "upgrade attentad"),
        "theirs": ((tmp_path / "theirs.safetensors").read_bytes(), "not a model of attentad"),
        "meta": ((tmp_path / "meta.safetensors").read_bytes(), "not a model of attentad"),
    }


KINDS = "empty text zip json truncated half-header flipped newer theirs meta"


@pytest.mark.parametrize("kind", KINDS.split())
def test_what_is_no_model_is_named(model, tmp_path, kind):
    content, words = broken(model, tmp_path)[kind]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(AttentadError, match=words) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(AttentadError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(AttentadError, match="is a folder"):
        load_model(tmp_path)


def test_contract_must_be_json(tmp_path):
    with pytest.raises(TypeError):
        save_model(tmp_path / "m.safetensors", {}, {"path": tmp_path})
    with pytest.raises(ValueError):
        save_model(tmp_path / "m.safetensors", {}, {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_unwritable_place_is_a_clear_error():
    with pytest.raises(AttentadError, match="could not be written"):
        save_model("/proc/none/model.safetensors", tensors(), CONTRACT)


def test_load_into():
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    load_into(target, source.state_dict(), "m.safetensors")
    assert torch.equal(source.weight, target.weight)
    before = target.weight.clone()
    state = source.state_dict()
    for tensors, words in (
        ({"weight": state["weight"]}, "m.safetensors lacks bias of Linear"),
        (state | {"x": torch.ones(1)}, "m.safetensors has x, which Linear does not have"),
        (state | {"weight": torch.ones(2, 9)}, r"weight of shape \(2, 9\) .* needs \(2, 3\)"),
    ):
        with pytest.raises(AttentadError, match=words):
            load_into(target, tensors, "m.safetensors")
    assert torch.equal(target.weight, before)


def test_many_missing_names_are_counted():
    with pytest.raises(AttentadError, match="and 3 more"):
        load_into(nn.Sequential(*[nn.Linear(1, 1) for _ in range(3)]), {}, "m.safetensors")


def test_settings_and_model_file_import_no_lightning():
    code = (
        "import sys, json\n"
        "import attentad.training.settings\n"
        "light = [name for name in ('torch', 'lightning_fabric') if name in sys.modules]\n"
        "import attentad.models.file, attentad.training.logs\n"
        "print(json.dumps([light, 'lightning_fabric' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [[], False], done.stderr
