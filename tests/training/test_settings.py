import pytest
from pydantic import ValidationError

from attentad.training.settings import OptimizerSettings, ScheduleSettings, TrainingSettings


def test_every_field_is_described():
    for model in (TrainingSettings, OptimizerSettings, ScheduleSettings):
        for name, field in model.model_fields.items():
            assert field.description, name


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "epochs"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"epochs": 1, "epoch": 2}, "Extra inputs"),
        ({"epochs": 1, "optimizer": {"name": "lamb"}}, "'adam', 'adamw' or 'sgd'"),
        ({"epochs": 1, "optimizer": {"name": "sgd", "betas": [0.8, 0.9]}}, "no option betas"),
        ({"epochs": 1, "optimizer": {"momentum": 0.5}}, "adam has no option momentum; .* betas"),
        ({"epochs": 1, "optimizer": {"betas": [0.9, 1]}}, r"betas.1\n.*less than 1"),
        ({"epochs": 1, "optimizer": {"lr": -1}}, "greater than 0"),
        (
            {"epochs": 1, "optimizer": {"lr_multipliers": {"a": -1}}},
            r"rs.a\n.*equal to 0",
        ),
        (
            {"epochs": 1, "optimizer": {"weight_decays": {"a": -1}}},
            r"decays.a\n.*equal to 0",
        ),
        (
            {"epochs": 1, "optimizer": {"name": "sgd", "nesterov": True, "momentum": 0}},
            "nesterov needs",
        ),
        ({"epochs": 1, "schedule": {"name": "step"}}, "needs milestones"),
        ({"epochs": 1, "schedule": {"name": "step", "milestones": [3, 2]}}, "must rise"),
        ({"epochs": 1, "schedule": {"name": "step", "milestones": [0]}}, "1 or more"),
        ({"epochs": 1, "schedule": {"name": "cosine", "gamma": 0.5}}, "no option gamma"),
        (
            {"epochs": 1, "schedule": {"name": "onecycle", "warmup_epochs": 1}},
            "no option warmup_epochs",
        ),
        ({"epochs": 1, "schedule": {"warmup_epochs": 2}}, "longer than epochs"),
        ({"epochs": 1, "precision": "64"}, "precision"),
    ],
)
def test_mistakes_are_named(values, words):
    with pytest.raises(ValidationError, match=words):
        TrainingSettings.model_validate(values)


def test_dumped_settings_can_be_read_again():
    for schedule in ({"name": "onecycle"}, {"name": "step", "milestones": [2]}):
        settings = TrainingSettings(epochs=3, optimizer={"name": "sgd"}, schedule=schedule)
        assert TrainingSettings.model_validate(settings.model_dump(mode="json")) == settings
        assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
