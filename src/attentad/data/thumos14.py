"""THUMOS14: its classes with temporal annotations."""

from __future__ import annotations

from typing import Final

# In the order of their names, which is that of `suppression.THUMOS14_CLASS_IDS`.
THUMOS14_CLASSES: Final = (
    *("BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk", "CliffDiving"),
    *("CricketBowling", "CricketShot", "Diving", "FrisbeeCatch", "GolfSwing"),
    *("HammerThrow", "HighJump", "JavelinThrow", "LongJump", "PoleVault"),
    *("Shotput", "SoccerPenalty", "TennisSwing", "ThrowDiscus", "VolleyballSpiking"),
)
