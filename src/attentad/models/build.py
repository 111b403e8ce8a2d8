"""From a recipe to its parts: the network with its attention, its functions' options, its views."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

from torch import nn

from attentad.attention.sites import AttentionChoice
from attentad.backbones import PRETRAINED, RECOGNISERS, Backbone
from attentad.backbones.backbone import prepare_clips, summarise_clips
from attentad.core import AttentadError, Sampling
from attentad.core.options import check_options, part_options, shared_options
from attentad.core.wording import reason_of
from attentad.data.views import VIEWS, Views
from attentad.detection import DETECTORS, GIVEN, Detector
from attentad.recipes.load import DetectionRecipe, RecognitionRecipe

Part = TypeVar("Part")


def build_views(recipe: DetectionRecipe) -> Views:
    """The recipe's way to take views of a track."""
    view = VIEWS[recipe.view.name]
    return view(**shared_options(view, recipe.view.model_dump()))


def check_detector(recipe: DetectionRecipe) -> Detector:
    """The detector that the recipe names, whose options and view it has.

    Raises:
        AttentadError: an unknown detector or option, or a setting that it cannot work with, named.
    """
    choice = recipe.detector
    detector = _named(DETECTORS, choice.name, "detector")
    for part, given in GIVEN.items():
        check_options(getattr(detector, part), getattr(choice, part), given, f"detector.{part}")
    for option, default in network_options(detector).items():
        for part in ("targets", "loss", "decode"):
            own = choice.network.get(option, default)
            if getattr(choice, part).get(option, own) != own:
                raise AttentadError(
                    f"detector.{part}.{option} is not the network's; say it once, as "
                    f"detector.network.{option}."
                )
    if recipe.view.name == "whole" and not _takes_any_length(detector):
        raise AttentadError(
            f"detector.name: {choice.name} takes views of one length; set view.name to rescaled "
            "or windows."
        )
    return detector


def _takes_any_length(detector: Detector) -> bool:
    """Whether the network names no length, or can do without."""
    length = inspect.signature(detector.network).parameters.get("length")
    return length is None or length.default is None


def network_options(detector: Detector) -> dict[str, Any]:
    """Option of the network → its default."""
    options = part_options(detector.network, GIVEN["network"])
    return {option.name: option.default for option in options}


def detector_options(
    recipe: DetectionRecipe, part: Literal["targets", "loss", "decode"]
) -> dict[str, Any]:
    """The options of one of the detector's functions.

    They are the recipe's for it and those of the network that it takes too, as `Detector` says.
    """
    choice = recipe.detector
    function = getattr(DETECTORS[choice.name], part)
    told = choice.network | {"loss_options": choice.loss}
    return shared_options(function, told) | getattr(choice, part)


def build_detector(recipe: DetectionRecipe, feature_dim: int, classes: int) -> nn.Module:
    """The recipe's network with its attention modules at their sites, freshly initialised.

    Args:
        recipe: says which.
        feature_dim: C_in.
        classes: K, for networks that name classes themselves.

    Raises:
        AttentadError: an unknown detector, site, attention or option, named.
    """
    network = check_detector(recipe).network
    given = {
        "feature_dim": feature_dim,
        "length": None if recipe.view.name == "whole" else recipe.view.length,
        "classes": classes,
        "attention": _attention(recipe),
    }
    taken = shared_options(network, given)
    if recipe.attention and "attention" not in taken:
        raise AttentadError(f"attention: {recipe.detector.name} has no site for any; leave it out.")
    with _building("detector.network"):
        return network(**taken, **recipe.detector.network)


def build_recogniser(recipe: RecognitionRecipe, classes: tuple[str, ...]) -> nn.Module:
    """The recipe's 3D CNN with its attention modules, freshly initialised.

    Raises:
        AttentadError: an unknown recogniser, site, attention or option, named.
    """
    network, loss = _named(RECOGNISERS, recipe.recogniser.name, "recogniser")
    options = recipe.recogniser.options
    given = ("classes", "frames", "size_px", "attention")
    check_options(network, options, given, "recogniser")
    check_options(loss, recipe.loss, ("outputs", "labels"), "loss")
    with _building("recogniser"):
        return network(
            len(classes),
            frames=recipe.sampling.window_frames,
            size_px=recipe.sampling.size_px,
            attention=_attention(recipe),
            **options,
        )


def recogniser_backbone(
    recipe: RecognitionRecipe, classes: tuple[str, ...], network: nn.Module
) -> Backbone:
    """A 3D CNN of `build_recogniser`, trained or to be loaded, as a backbone."""
    sampling = Sampling(**recipe.sampling.model_dump())
    return Backbone(
        name=recipe.recogniser.name,
        options=recipe.model_dump(mode="json"),
        network=network,
        sampling=sampling,
        feature_dim=cast(int, network.feature_dim),
        prepare=prepare_clips(recipe.mean, recipe.std, sampling.size_px),
        summarise=summarise_clips,
        classes=classes,
    )


def build_backbone(name: str, options: Mapping[str, Any]) -> Backbone:
    """A backbone that comes trained, with its public weights.

    Raises:
        AttentadError: there is none of that name, an option that it does not take, or its weights
            are not here.
    """
    if name in RECOGNISERS:
        raise AttentadError(
            f"{name} has no public weights here; train it with `attentad train` on clips, and give "
            "its model file."
        )
    build = _named(PRETRAINED, name, "backbone").build
    check_options(build, options, where=name)
    for option in part_options(build):
        if option.default is inspect.Parameter.empty and option.name not in options:
            raise AttentadError(
                f"{name}.{option.name} must be given; `attentad parts backbone {name}` says what "
                "it is."
            )
    return build(**options)


@contextmanager
def _building(key: str) -> Iterator[None]:
    """Tell a user whatever torch or numpy find impossible in the options of a network.

    Annotations bound single options; how they must fit each other, and the memory, is for them.

    Raises:
        AttentadError: anything was raised in the block.
    """
    try:
        yield
    except AttentadError:
        raise
    except Exception as error:
        raise AttentadError(
            f"{key}: no network can be built of these options ({reason_of(error)}); correct them."
        ) from error


def _named(parts: Mapping[str, Part], name: str, kind: str) -> Part:
    if name not in parts:
        raise AttentadError(
            f"{kind}.name: there is no {kind} {name!r}; choose from {', '.join(parts)}."
        )
    return parts[name]


def _attention(recipe: DetectionRecipe | RecognitionRecipe) -> dict[str, AttentionChoice]:
    return {site: (part.name, part.options) for site, part in recipe.attention.items()}
