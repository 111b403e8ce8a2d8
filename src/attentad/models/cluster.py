"""Work on a cluster of machines, with Ray: a task for each video.

What is done lies in files, each written whole or not at all: a task that is lost, or that runs
twice, does no harm, and the same command goes on from what is there.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from attentad.core import AttentadError
from attentad.core.progress import NamedProgress
from attentad.core.wording import reason_of
from attentad.models.work import Outcome, WithModel, Work, outcome_of, untold

LOCAL: Final = "local"
# A video is set aside that killed so many of its worker processes, or was on so many lost machines.
MOST_KILLED: Final = 2
MOST_LOST: Final = 5
_POLL_SEC: Final = 1.0
_ANSWER_SEC: Final = 10.0
_TASKS_PER_CORE: Final = 2  # given out, so that no core waits for the next


def on_cluster(
    address: str,
    open_model: Callable[[], Any],
    with_model: WithModel,
    work: Work,
    videos: Sequence[str],
    progress: NamedProgress | None = None,
) -> dict[str, Outcome]:
    """Do the work of all videos on a cluster, each on one core; with the first two a `Runner`.

    A video that kills its worker process twice is set aside, and so is one that was on five
    machines that were lost.

    Args:
        address: of the cluster's head, `HOST:PORT`; `local` makes one of this machine's cores.
        open_model: called in each worker process, on whatever machine.
        with_model: makes the work of it.
        work: the same here; told which videos are set aside.
        videos: names.
        progress: called with (videos done, videos in all, the latest one).

    Returns:
        What became of each video, in their order.

    Raises:
        AttentadError: Ray is not installed, or there is no cluster.
    """
    report = progress or (lambda done, total, name: None)
    outcomes: dict[str, Outcome] = {}
    with _connected(address) as ray:
        tasks = _Tasks(ray, open_model, with_model)
        waiting, latest = deque(videos), ""
        killed, lost = Counter[str](), Counter[str]()
        while waiting or tasks.running:
            report(len(outcomes), len(videos), latest)
            while waiting and tasks.has_room():
                tasks.begin(waiting.popleft())
            for video, result in tasks.ended():
                killed[video] += result == "killed"
                lost[video] += result == "lost"
                if killed[video] >= MOST_KILLED or lost[video] >= MOST_LOST:
                    result = _set_aside(work, video, killed[video] >= MOST_KILLED)
                if isinstance(result, Outcome):
                    outcomes[video], latest = result, video
                else:
                    waiting.append(video)
    report(len(videos), len(videos), "")
    return {video: _seen(work, video, outcomes[video]) for video in videos}


def _seen(work: Work, video: str, outcome: Outcome) -> Outcome:
    """The outcome, if its files can be seen from here."""
    if outcome.failure is not None or work.is_done(video):
        return outcome
    return Outcome(
        failure=f"{video} was done on another machine, but what it wrote is not here; put videos, "
        "model and output on a disk that all machines have under the same path."
    )


def _set_aside(work: Work, video: str, by_itself: bool) -> Outcome:
    why = (
        f"{video} killed its worker process {MOST_KILLED} times (a crash or too little memory)"
        if by_itself
        else f"the machine that {video} was on was lost {MOST_LOST} times"
    )
    why = f"{why} and is set aside; look at the file, or at the memory of the machines."
    work.give_up(video, why)
    return Outcome(failure=why)


class _Tasks:
    """The tasks that are given out.

    Attributes:
        running: reference → video.
    """

    def __init__(self, ray: Any, open_model: Callable[[], Any], with_model: WithModel) -> None:
        self.running: dict[Any, str] = {}
        self._ray = ray
        # Bytes, so that a worker process can tell that it has this work open already.
        self._work = ray.put(ray.cloudpickle.dumps((Path.cwd(), open_model, with_model)))
        # Tries are counted here: Ray itself does not tell a worker that died from a machine.
        self._task = ray.remote(_done).options(
            num_cpus=1, max_retries=0, scheduling_strategy="SPREAD"
        )

    def has_room(self) -> bool:
        """Whether another task would soon find a core."""
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return len(self.running) < _TASKS_PER_CORE * max(cores, 1)

    def begin(self, video: str) -> None:
        """Give out the task of a video."""
        self.running[self._task.remote(self._work, video)] = video

    def ended(self) -> list[tuple[str, Outcome | Literal["killed", "lost"]]]:
        """The videos whose tasks have ended by now; waits a while for the first."""
        count = len(self.running)
        ready, _ = self._ray.wait([*self.running], num_returns=count, timeout=_POLL_SEC)
        return [(self.running.pop(task), self._result(task)) for task in ready]

    def _result(self, task: Any) -> Outcome | Literal["killed", "lost"]:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError):
            return "killed"
        except errors.NodeDiedError:
            return "lost"
        except errors.RayTaskError as error:
            return Outcome(failure=f"a worker process failed: {reason_of(error.cause)}.")


def _done(content: bytes, video: str) -> Outcome:
    """In a worker process: the work of one video."""
    try:
        work = _opened(content)
    except AttentadError as error:
        return Outcome(failure=f"on {os.uname().nodename}: {error}")
    return outcome_of(work, video, untold)


@lru_cache(maxsize=1)
def _opened(content: bytes) -> Work:
    from ray import cloudpickle

    folder, open_model, with_model = cloudpickle.loads(content)
    with suppress(OSError):  # so that relative paths mean here what they mean to the user
        os.chdir(folder)
    return with_model(open_model())


def _check_answers(address: str) -> None:
    """Make sure that somebody listens there: Ray itself would try for a quarter of an hour."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()) or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_SEC).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> AttentadError:
    return AttentadError(
        f"there is no cluster at {address} ({reason_of(error)}); give HOST:PORT of its head, or "
        "local."
    )


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster while the block runs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent to Ray's makers
    try:
        import ray
    except ImportError:
        raise AttentadError(
            "--cluster needs Ray, which is not installed; get it with: pip install "
            "'attentad[cluster]'"
        ) from None
    _check_answers(address)
    dashboard = False if address == LOCAL else None  # that of a cluster is its own matter
    try:
        ray.init(
            address=address,
            include_dashboard=dashboard,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield ray
    except ray.exceptions.RaySystemError as error:
        raise AttentadError(
            f"the cluster at {address} was lost ({reason_of(error)}); run the same command again, "
            "and it goes on from what is done."
        ) from error
    finally:
        ray.shutdown()
