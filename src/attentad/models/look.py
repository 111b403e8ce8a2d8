"""What a detector finds in one video, and keeps in a journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from attentad.core.files import file_stamp
from attentad.core.progress import Progress
from attentad.data.tracks import Track, noting
from attentad.models.detect import detect_features
from attentad.models.encode import VideoSource
from attentad.models.inputs import AnySource
from attentad.models.journal import Entry, Journal, key_of
from attentad.models.model import DetectorModel
from attentad.models.video_scores import VideoScores
from attentad.models.work import GivenUp, untold


class Opened(NamedTuple):
    """A video about to be looked at: its features if they cost little, else how to read them.

    Args:
        key: of all that the outcome depends on.
        read: the features, and what they warn of.
    """

    key: str
    read: Callable[[], tuple[Track, list[str]]]


@dataclass(frozen=True)
class Looking:
    """A detector before its videos.

    Args:
        model: the detector.
        meta: what tells it from another.
        sources: video → where it is read from.
        class_scores: of whole videos, where the recipe takes labels from those.
    """

    model: DetectorModel
    meta: Mapping[str, Any]
    sources: Mapping[str, AnySource]
    class_scores: VideoScores

    def opened(self, video: str, within: Progress) -> Opened:
        """Open a video.

        Raises:
            AttentadError: the file is not there, or its features cannot be read.
        """
        source, scores = self.sources[video], self.class_scores(video)
        facts = (self.meta, video, None if scores is None else scores.tolist())
        if isinstance(source, VideoSource):
            path = source.files[video]
            key = key_of(*facts, [str(path.resolve()), *file_stamp(path)])
            return Opened(key, partial(noting, partial(source.read, video, within)))
        track, notes = noting(partial(source.read, video))
        key = key_of(*facts, track.timeline.to_dict(), track.array.tobytes())
        return Opened(key, lambda: (track, notes))

    def entry(self, video: str, within: Progress) -> Entry:
        """What the model says of a video.

        Raises:
            AttentadError: it cannot be read, or does not fit the model.
        """
        return self.look(video, self.opened(video, within))

    def look(self, video: str, opened: Opened) -> Entry:
        """The same of a video that is open."""
        track, notes = opened.read()
        found, more = noting(
            partial(
                detect_features,
                self.model,
                track.array,
                track.timeline,
                video=video,
                class_scores=self.class_scores(video),
            )
        )
        return Entry(found, track.timeline, (*notes, *more))


@dataclass(frozen=True)
class JournalLooking:
    """The same, into a journal, where what was finished before is looked up; `Work`.

    Args:
        looking: at the videos.
        journal: a file for each finished one.
    """

    looking: Looking
    journal: Journal

    def entry(self, video: str, within: Progress) -> Entry:
        """As `Looking.entry`, or what was said of the very same before."""
        opened = self.looking.opened(video, within)
        kept = self.journal.read(opened.key)
        if kept is None:
            kept = self.looking.look(video, opened)
            self.journal.keep(opened.key, kept)
        return kept

    def __call__(self, video: str, within: Progress) -> Sequence[str]:
        """Leave an entry in the journal, which has its notes.

        Raises:
            AttentadError: as `entry`, or what is noted of an earlier time.
        """
        key = self.looking.opened(video, untold).key
        self._given_up.trying(key, key, partial(self.entry, video, within))
        return ()

    def is_done(self, video: str) -> bool:
        """Whether its entry is there."""
        return self.journal.read(self.looking.opened(video, untold).key) is not None

    def give_up(self, video: str, why: str) -> None:
        """Note that the video is not to be tried again."""
        key = self.looking.opened(video, untold).key
        self._given_up.keep(key, key, why)

    @property
    def _given_up(self) -> GivenUp:
        return GivenUp(self.journal.folder)
