import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentad.training.schedule import Plateau, better, lr_factor
from attentad.training.settings import ScheduleSettings

STEPS, EPOCHS = 7, 6


def factors(**values):
    schedule = ScheduleSettings(**values)
    return [lr_factor(schedule, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def torchs(make, every=1):
    """The factors of one of torch's schedulers, stepped every so many steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for step in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return found


def test_constant_is_one():
    assert set(factors()) == {1.0}
    # What the plateau schedule would do is followed throughout, but concerns it alone.
    assert lr_factor(ScheduleSettings(), 0, STEPS, EPOCHS, plateau_factor=0.1) == 1.0


def test_step_is_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 5], 0.3), STEPS)
    assert factors(name="step", milestones=[2, 5], gamma=0.3) == pytest.approx(expected)


def test_cosine_is_torchs():
    expected = torchs(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS * EPOCHS, eta_min=0.1)
    )
    assert factors(name="cosine", final_factor=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("rise", [0.3, 0.5])
def test_onecycle_is_torchs(rise):
    expected = torchs(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 1.0, STEPS * EPOCHS, pct_start=rise, cycle_momentum=False
        )
    )
    assert factors(name="onecycle", rise=rise) == pytest.approx(expected, abs=1e-9)


def test_warmup_rises_to_one_and_cosine_follows():
    found = factors(name="cosine", warmup_epochs=1.5)
    warmup = round(1.5 * STEPS)
    assert found[:warmup] == pytest.approx([(i + 1) / warmup for i in range(warmup)])
    assert found[warmup] == 1.0
    assert all(a > b for a, b in zip(found[warmup:], found[warmup + 1 :], strict=False))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["constant", "cosine", "onecycle", "step"]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0, 1),
)
def test_factors_stay_within_zero_and_one(name, steps, epochs, warmup):
    values = {"name": name}
    if name == "step":
        values["milestones"] = [1]
    if name != "onecycle":
        values["warmup_epochs"] = warmup * epochs
    schedule = ScheduleSettings(**values)
    for step in range(steps * epochs):
        assert 0 <= lr_factor(schedule, step, steps, epochs) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5)), st.integers(0, 3), st.sampled_from(["min", "max"]))
def test_plateau_is_torchs(values, patience, mode):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, 0.5, patience, threshold=0, eps=0
    )
    state, schedule = Plateau(), ScheduleSettings(name="plateau", gamma=0.5, patience=patience)
    for value in values:
        scheduler.step(value)
        state = state.after(value, mode, patience, 0.5)
        found = lr_factor(schedule, 0, 1, 1, state.factor)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"])


def test_nan_is_never_better():
    assert not better(math.nan, None, "max")
    assert not better(math.nan, 1.0, "min")
    assert better(1.0, None, "max")
    assert better(1.0, 0.5, "max")
    assert better(0.4, 0.5, "min")
    assert not better(0.5, 0.5, "max")
