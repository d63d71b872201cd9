"""Every error a visitor or an operator may see, in one tree.

    LikenessError
    ├── OperatorError        what only whoever runs the server can put right
    │   ├── BadSettings      the configuration; printed at start, exit code 2
    │   ├── BadFolder        a folder named on the command line
    │   ├── SigningFailed    the program that signs downloads does not
    │   └── BaseUnavailable  the base model is missing, altered or not licensed for this use
    ├── BadPhoto             a photo that cannot be used
    ├── BadOrder             a job that cannot start as asked: styles, count, too few photos
    ├── ClipRefused          a portrait cannot be shown moving
    ├── UnknownSession       no such session, wrong secret, expired, erased: always the same answer
    ├── NotAdmitted          whoever wants to start a session may not (`LIKENESS_ENTRANCE`)
    ├── Busy                 a limit was reached; trying again later helps
    ├── DiskFull             nothing more can be stored
    ├── ErasureLate          what is due could not be erased: nobody new is let in
    ├── GpuFailed            the GPU works in no job of this process any more
    ├── Stopped              somebody asked the job to stop
    └── TamperedError        a stored file is not what was written

The message of each (`messages.Message`) becomes one plain sentence, or two short ones, that is safe
to show: no path of the machine to a visitor, no key, no traceback. Whoever raises knows what to do
next and names the sentence by its key in the catalogue; the web and the command line say it in the
reader's language. What only the operator sees is English and stands where it is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from messages import Message


class LikenessError(Exception):
    """Base of all errors that somebody is told about; `message` is safe to show to a visitor."""

    def __init__(self, key: str, /, **values: str | int | float | Message) -> None:
        """key: of the catalogue; values: what its places are filled with."""
        super().__init__(key, values)
        self.message = Message(key, values)

    def __str__(self) -> str:
        return self.message.key

    @property
    def for_operator(self) -> Message | str:
        """What whoever runs the server is told."""
        return self.message


class OperatorError(LikenessError):
    """One that nobody but whoever runs the server can put right: `sentence` says how, in English.

    A visitor is told to ask them.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("errors.operator")
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence

    @property
    def for_operator(self) -> str:
        """The sentence."""
        return self.sentence


class BadSettings(OperatorError):
    """The configuration cannot work; the sentence names the variable."""


def wrong_settings(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each mistake that pydantic found in `LIKENESS_*`, naming the variable."""
    sentences = []
    for error in errors:
        label = "LIKENESS_" + "_".join(map(str, error["loc"])).upper()
        value = repr(error["input"]) if isinstance(error["input"], _SHOWN) else "what it is"
        if not error["loc"]:
            label, value = "LIKENESS settings", "combined like this"
        reason = error["msg"].removeprefix("Value error, ")
        sentences.append(f"{label} cannot be {value}: {reason}.")
    return sentences


_SHOWN = (str, int, float, tuple)


class BadFolder(OperatorError):
    """A folder that was named on the command line cannot be used."""


class SigningFailed(OperatorError):
    """The program that has the key gave no signature."""


class BadPhoto(LikenessError):
    """This photo cannot be used."""

    @property
    def code(self) -> str:
        """The end of the key, e.g. "no_face"; stable, for tests and statistics."""
        return self.message.key.rpartition(".")[2]


class BadOrder(LikenessError):
    """The job cannot start as asked."""


class ClipRefused(LikenessError):
    """A portrait cannot move, or its clip is not shown: it may be somebody else."""


class UnknownSession(LikenessError):
    """One answer for unknown, foreign, expired and erased sessions: none can be told apart."""

    def __init__(self) -> None:
        super().__init__("errors.session")


class NotAdmitted(LikenessError):
    """Whoever wants to start a session may not; one who has a session is never asked."""


class Busy(LikenessError):
    """A rate, size or queue limit was reached. `wait_s`: in how many seconds trying again helps."""

    def __init__(
        self, key: str, /, *, wait_s: float = 60.0, **values: str | int | float | Message
    ) -> None:
        super().__init__(key, **values)
        self.wait_s = wait_s


class DiskFull(LikenessError):
    """No room on the scratch volume."""

    def __init__(self) -> None:
        super().__init__("errors.disk_full")


class ErasureLate(LikenessError):
    """What was due could not be erased, so nobody new is let in on the same promise."""

    def __init__(self) -> None:
        super().__init__("errors.erasure_late")


class BaseUnavailable(OperatorError):
    """The base model cannot be loaded."""


class GpuFailed(LikenessError):
    """CUDA failed in a way that only a new process gets over."""

    EXIT = 75
    """Exit code of a process that ends for it: a new one may do better (`EX_TEMPFAIL`)."""

    def __init__(self) -> None:
        super().__init__("errors.gpu_failed")


class Stopped(LikenessError):
    """The job was asked to stop."""

    def __init__(self) -> None:
        super().__init__("job.sentence.stopped")


class TamperedError(LikenessError):
    """A stored file was changed, cut, renamed or moved since it was written."""

    def __init__(self, key: str = "errors.tampered") -> None:
        super().__init__(key)
