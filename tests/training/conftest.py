import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def runs():
    """The module of small trainings, `runs.py`."""
    spec = importlib.util.spec_from_file_location("runs", Path(__file__).parent / "runs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    """Bits depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
