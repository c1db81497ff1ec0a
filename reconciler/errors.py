"""Every error a user can meet, as one tree.

The command line turns each into its sentence and its exit code; nothing else prints errors.
A library's error is wrapped once, where it is raised, and kept as the cause.

::

    ReconcilerError                     1
    ├── UsageError                      2   command line or settings: nothing was tried
    ├── PortalChangedError              3   a name in the journal stands for another portal now
    ├── LeaseHeldError                  5   another run works on this journal
    ├── JournalError                    1   database not usable, or newer than the program
    │   ├── JournalMovedError           1   its file was deleted, moved or replaced while it was open
    │   └── NoRunYetError               1   there is no journal yet to read
    ├── IncompleteReadError             1   a read was not whole: nothing was written
    │   └── PausedError                     its time was over first; what was read is kept
    └── PortalError                     1   the portal, or the way to it
        ├── TransientError                  the same request may succeed later
        │   ├── UnreachableError            no answer: refused, cut, timed out
        │   ├── RateLimitedError            QUERY_LIMIT_EXCEEDED: surely not carried out
        │   ├── BusyError                   overloaded (429, 503): send less; maybe carried out
        │   ├── ServerFaultError            INTERNAL_SERVER_ERROR and its kin
        │   └── NotJsonError                HTML, an empty body, a truncated one
        │       └── ForeignAnswerError      the answer to another request
        ├── TooLateError                    not sent: its look is too old by now
        ├── TooLargeError                   413 or 414: send less at a time
        ├── OperationTimeLimitError         this method's seconds are used up
        ├── BlockedError                    plan, overload, closed portal: a person must act
        ├── AuthorizationError              the webhook is not accepted
        │   └── MissingScopeError           it is, but not for this method
        ├── MovedError                      the portal has another address now
        └── RefusedError                    this one call was refused
            ├── DeniedError                 no right to this record
            ├── NotFoundError               no such record
            └── BadRequestError             the arguments are wrong: a bug of ours

    Stopped                             -   somebody asked us to end; not an error
"""

from __future__ import annotations


class Stopped(Exception):  # noqa: N818 - a request to end is no error
    """Raised by `Clock.sleep` once the program was asked to end."""


class ReconcilerError(Exception):
    """One sentence that says what is wrong and the next step."""

    exit_code = 1


class UsageError(ReconcilerError):
    """The command line or the settings cannot be used."""

    exit_code = 2


class PortalChangedError(ReconcilerError):
    """The portal is not the one that the journal knows by this name, or has moved; nothing is written."""

    exit_code = 3


class LeaseHeldError(ReconcilerError):
    """Another run holds the lease of this journal."""

    exit_code = 5


class JournalError(ReconcilerError):
    """The journal database cannot be used."""


class JournalMovedError(JournalError):
    """The path of the open journal leads to another file now, or to none."""


class NoRunYetError(JournalError):
    """There is no journal yet, or an empty one: the first run makes it."""


class IncompleteReadError(ReconcilerError):
    """A read was not whole, so no plan was made of it."""


class PausedError(IncompleteReadError):
    """The slot is over before the read is; what is read is kept."""


class PortalError(ReconcilerError):
    """The portal refused or failed.

    `code` is the portal's own (F6), which may be empty; `status` the HTTP status, None inside a batch.
    """

    def __init__(self, sentence: str, *, code: str = "", status: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


class TransientError(PortalError):
    """The same request may succeed later."""


class UnreachableError(TransientError):
    """No answer came: the connection was refused or cut, or timed out."""


class RateLimitedError(TransientError):
    """QUERY_LIMIT_EXCEEDED: the leaky bucket is full; the request was not carried out (F5.1)."""


class BusyError(TransientError):
    """The portal, or a server before it, has too much to do (429, 503); what it did before is not known."""


class ServerFaultError(TransientError):
    """The portal failed inside; what it did before is not known."""


class NotJsonError(TransientError):
    """Something answered that is not the REST interface: HTML, nothing, half a body (F6)."""


class ForeignAnswerError(NotJsonError):
    """The answer to another request came on this one's connection; this one's own is lost."""


class TooLateError(PortalError):
    """The request was not sent, because too much time had passed since what it rests on was read."""


class TooLargeError(PortalError):
    """The web server finds the request too long (413, 414)."""


class OperationTimeLimitError(PortalError):
    """The method's seconds in the ten-minute window are used up (F5.2)."""


class BlockedError(PortalError):
    """The portal as a whole refuses REST: plan, overload, closed; only a person can change it."""


class AuthorizationError(PortalError):
    """The webhook is not accepted."""


class MissingScopeError(AuthorizationError):
    """The webhook is accepted, but has no scope for this method."""


class MovedError(PortalError):
    """The portal answers from another address that may not be followed."""


class RefusedError(PortalError):
    """This one call was refused; others may pass."""


class DeniedError(RefusedError):
    """The webhook's user may not do this to this record."""


class NotFoundError(RefusedError):
    """There is no such record."""


class BadRequestError(RefusedError):
    """The portal does not understand the call: an error of this program."""


def forget_frames(failure: BaseException | None) -> None:
    """Let go of where an error was raised: those calls refer to it in their turn, and to all that the run has read."""
    while failure is not None:
        failure.__traceback__ = None
        failure = failure.__cause__ or failure.__context__
