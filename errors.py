"""Every error a visitor or an operator may see, in one tree.

    LikenessError
    ├── BadSettings          the operator's configuration; printed at start, exit code 2
    ├── BadPhoto             a photo that cannot be used
    ├── BadOrder             a job that cannot start as asked: styles, count, too few photos
    ├── UnknownSession       no such session, wrong secret, expired, erased: always the same answer
    ├── Busy                 a limit was reached; trying again later helps
    ├── DiskFull             nothing more can be stored
    ├── BaseUnavailable      the base model is missing, altered or not licensed for this use
    ├── Stopped              somebody asked the job to stop
    └── TamperedError        a stored file is not what was written

The message of each is one plain sentence, or two short ones, that is safe to show: no path of the
machine to a visitor, no key, no traceback. Whoever raises knows what to do next and says it.
"""

from __future__ import annotations


class LikenessError(Exception):
    """Base of all errors with a sentence that is safe to show."""

    @property
    def sentence(self) -> str:
        return str(self)


class BadSettings(LikenessError):
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

    def __init__(self, sentence: str = "This session does not exist, or has been erased.") -> None:
        super().__init__(sentence)


class Busy(LikenessError):
    """A rate, size or queue limit was reached."""


class DiskFull(LikenessError):
    """No room on the scratch volume."""

    def __init__(
        self,
        sentence: str = "There is no room left on this server. What you already have is safe; "
        "please tell the people who run it and try again later.",
    ) -> None:
        super().__init__(sentence)


class BaseUnavailable(LikenessError):
    """The base model cannot be loaded."""


class Stopped(LikenessError):
    """The job was asked to stop."""

    def __init__(self, sentence: str = "Stopped, as you asked.") -> None:
        super().__init__(sentence)


class TamperedError(LikenessError):
    """A stored file was changed, cut, renamed or moved since it was written."""

    def __init__(self, sentence: str = "A stored file is damaged and was not opened.") -> None:
        super().__init__(sentence)
