"""The one error type that is meant for the user's eyes."""

from attentad.core.wording import sentence


class AttentadError(Exception):
    """Bad input or a broken environment, in one sentence.

    The message names the file, the video or the key concerned and what to do about it. The
    command line prints it without a traceback and exits with code 2; Python callers catch it.
    Names and values that others wrote stand in it as `sentence` shows them.
    """

    def __init__(self, message: str) -> None:
        super().__init__(sentence(message))


class UnreadableError(AttentadError):
    """A file that is damaged or no video: trying again gives the same."""
