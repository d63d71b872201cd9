"""Every error a visitor or an operator may see, in one tree.

    LikenessError
    ├── OperatorError        what only whoever runs the server can put right
    │   ├── BadSettings      the configuration; printed at start, exit code 2
    │   └── BaseUnavailable  the base model is missing, altered or not licensed for this use
    ├── BadPhoto             a photo that cannot be used
    ├── BadOrder             a job that cannot start as asked: styles, count, too few photos
    ├── UnknownSession       no such session, wrong secret, expired, erased: always the same answer
    ├── Busy                 a limit was reached; trying again later helps
    ├── DiskFull             nothing more can be stored
    ├── Stopped              somebody asked the job to stop
    └── TamperedError        a stored file is not what was written

The message of each is one plain sentence, or two short ones, that is safe to show: no path of the
machine to a visitor, no key, no traceback. Whoever raises knows what to do next and says it, in
words of the catalogue (`words`) if a visitor may see it. What only the operator sees, and what the
command line says, is English and stands where it is raised.
"""

from __future__ import annotations

from words import again, say


class LikenessError(Exception):
    """Base of all errors with a sentence that is safe to show."""

    @property
    def sentence(self) -> str:
        """In the language of whoever reads it, who may be another than raised it."""
        return again(self.args[0])

    @property
    def for_visitor(self) -> str:
        """What a visitor is told: the sentence, unless it is for the operator."""
        return self.sentence


class OperatorError(LikenessError):
    """One whose sentence helps nobody but whoever runs the server."""

    @property
    def for_visitor(self) -> str:
        return say("errors.operator")


class BadSettings(OperatorError):
    """The configuration cannot work; the sentence names the variable."""


class BadPhoto(LikenessError):
    """This photo cannot be used. `code` is stable (for catalogues and tests), e.g. "no_face"."""

    def __init__(self, sentence: str, code: str = "unreadable") -> None:
        super().__init__(sentence)
        self.code = code


class BadOrder(LikenessError):
    """The job cannot start as asked."""


class UnknownSession(LikenessError):
    """One answer for unknown, foreign, expired and erased sessions: none can be told apart."""

    def __init__(self) -> None:
        super().__init__(say("errors.session"))


class Busy(LikenessError):
    """A rate, size or queue limit was reached."""


class DiskFull(LikenessError):
    """No room on the scratch volume."""

    def __init__(self) -> None:
        super().__init__(say("errors.disk_full"))


class BaseUnavailable(OperatorError):
    """The base model cannot be loaded."""


class Stopped(LikenessError):
    """The job was asked to stop."""

    def __init__(self) -> None:
        super().__init__(say("job.sentence.stopped"))


class TamperedError(LikenessError):
    """A stored file was changed, cut, renamed or moved since it was written."""

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or say("errors.tampered"))
