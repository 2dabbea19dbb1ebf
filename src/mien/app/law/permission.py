"""May this face be read now? The one answer, which the live view, recordings, uploads, programs and rooms all ask for.

:func:`may_read` is pure: it is told what the store held at one moment, and the time. :class:`CurrentPermission` asks it
again and again while something goes on, and reads the store anew only where something in it has changed.

>>> from mien.core.policy import Feature, Place, Purpose
>>> someone = Participant(purpose=Purpose.SELF_REFLECTION, place=Place.EU)
>>> may_read(someone, Feature.LIVE, now=0.0).refusal
ConsentError('consent has not been given yet: read the text and agree, or leave it')
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mien.app.law.consent import REMEDIES, Consent, State
from mien.app.law.terms import Scope, Terms, terms
from mien.core.errors import ConsentError, PolicyError
from mien.core.policy import Decision, Feature, Place, Purpose, decide, stricter

NO_PURPOSE = "no purpose was chosen yet: say first what mien is used for, and where"
TAKEN_BACK = "this consent was taken back, but could not be erased yet: withdraw it again"


@dataclass(frozen=True, slots=True)
class RoomAsks:
    """What a room asks of who joins it.

    Attributes:
        address: of the room.
        purpose: of the room.
        place: where whoever opened it said that it is.
        faces: whether it asks for coarse polarity; else for taps only.
    """

    address: str
    purpose: Purpose
    place: Place
    faces: bool

    def terms(self, place: Place) -> Terms:
        """The consent text for somebody at ``place``, by the stricter law of the two places.

        Where that forbids faces for the room's purpose, the text is that of taps.
        """
        decision = decide(self.purpose, stricter(place, self.place))
        faces = self.faces and decision.allows(Feature.ROOM_FACES)
        return terms(decision, scope=Scope.ROOM_FACES if faces else Scope.ROOM_TAPS, room=self.address)


@dataclass(frozen=True, slots=True)
class Participant:
    """A person as one read of the store finds them: all that the answer depends on, but the time.

    Attributes:
        purpose: what mien is used for; None before it was chosen.
        place: where they are.
        retention_days: how long their recordings are kept.
        consent: the latest to reading their own face, or, in a room, that to the room; None where there is none.
        taken_back: whether that is being withdrawn: it counts for nothing, though it may not be erased yet.
        room: the room that they sit in, where the question is about it.
        in_room: whether that room goes on for them.
        paused: whether they paused for the room, which leaves the consent as it is.
    """

    purpose: Purpose | None = None
    place: Place = Place.UNSET
    retention_days: int = 7
    consent: Consent | None = None
    taken_back: bool = False
    room: RoomAsks | None = None
    in_room: bool = True
    paused: bool = False

    @property
    def decision(self) -> Decision | None:
        """What the policy says of purpose and place; None before a purpose was chosen."""
        return None if self.purpose is None else decide(self.purpose, self.place)

    def require(self, feature: Feature) -> Decision:
        """What the policy says, refused where that does not allow a feature.

        Raises:
            PolicyError: it is not allowed, or no purpose was chosen.
        """
        decision = self.decision
        if decision is None:
            raise PolicyError(NO_PURPOSE)
        decision.require(feature)
        return decision

    def terms(self) -> Terms:
        """The text that applies now to reading their own face.

        Raises:
            PolicyError: no purpose was chosen, or the policy refuses.
        """
        return terms(self.require(Feature.LIVE), retention_days=self.retention_days)


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer.

    Attributes:
        consent: under which a face may be read; None where it may not.
        paused: whether the person paused: nothing is read, until they go on.
        refusal: why it may not be read; None where it may.
    """

    consent: Consent | None = None
    paused: bool = False
    refusal: PolicyError | ConsentError | None = None

    @property
    def granted(self) -> bool:
        """Whether a face may be read at this moment."""
        return self.refusal is None and not self.paused

    def require(self) -> Consent:
        """The consent under which a face is read now.

        Raises:
            PolicyError: the policy does not allow it.
            ConsentError: nobody consented, or no longer, or it is paused.
        """
        if self.refusal is not None:
            raise type(self.refusal)(str(self.refusal))
        if self.paused or self.consent is None:
            raise ConsentError(REMEDIES[State.PAUSED])
        return self.consent


def may_read(participant: Participant, feature: Feature, *, now: float) -> Permission:
    """Whether a person's face may be read now.

    Args:
        participant: as one read of the store found them.
        feature: what for. :attr:`Feature.ROOM_FACES` asks about the room that they sit in, all others about themselves.
        now: Unix seconds.
    """
    try:
        text = _text_in_room(participant) if feature is Feature.ROOM_FACES else _text_alone(participant, feature)
        consent = participant.consent
        if consent is None:
            raise ConsentError(REMEDIES[State.SHOWN])
        if participant.taken_back and consent.state is not State.WITHDRAWN:
            raise ConsentError(TAKEN_BACK)
        asleep = consent.at(now).state is State.PAUSED
        (consent.resume(now) if asleep else consent).check(text, now)
    except (PolicyError, ConsentError) as error:
        return Permission(refusal=error)
    return Permission(consent, paused=asleep or participant.paused)


def may_store(participant: Participant) -> Permission:
    """Whether what was read under their consent may still be stored.

    A pause, another purpose or the end of its time may have come after the reading, and does not matter; a withdrawal
    does.
    """
    consent = participant.consent
    if consent is not None and participant.taken_back:
        return Permission(refusal=ConsentError(TAKEN_BACK))
    if consent is None or consent.state not in (State.GIVEN, State.PAUSED):
        found = "not known" if consent is None else consent.state
        return Permission(refusal=ConsentError(f"its consent is {found}"))
    return Permission(consent)


def _text_alone(participant: Participant, feature: Feature) -> Terms:
    participant.require(feature)
    return participant.terms()


def _text_in_room(participant: Participant) -> Terms:
    room, consent = participant.room, participant.consent
    if room is None or not participant.in_room:
        raise ConsentError("you are in no room, or it has ended")
    if consent is not None and consent.terms.scope is not Scope.ROOM_FACES:
        raise PolicyError("this room asks for no faces")
    text = room.terms(participant.place)
    if text.scope is not Scope.ROOM_FACES:
        raise PolicyError(
            f"the place that you chose forbids to read faces for the purpose of this room, {room.purpose.words}: "
            "leave it, and join anew for taps alone"
        )
    return text


class CurrentPermission:
    """The answer for something that goes on, such as a live view or a long video.

    What may have changed is told by ``changes``, which costs nothing; so a store that is held up for a while holds
    nothing up that goes on as before.

    Args:
        feature: what for.
        read: reads the participant from the store, in one transaction.
        changes: differs after each change that can change the answer, from the moment on at which that begins.
        clock: gives Unix seconds.
    """

    def __init__(  # noqa: D107
        self,
        feature: Feature,
        *,
        read: Callable[[], Participant],
        changes: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._feature = feature
        self._read = read
        self._changes = changes
        self._clock = clock
        self._found: tuple[object, Participant] | None = None

    def known(self) -> Permission | None:
        """The answer where nothing was changed since the store was read; else None."""
        if self._found is None or self._found[0] != self._changes():
            return None
        return may_read(self._found[1], self._feature, now=self._clock())

    def ask(self) -> Permission:
        """The answer now; waits for the store where something was changed."""
        known = self.known()
        if known is not None:
            return known
        changes = self._changes()  # before reading: a change in between is then seen the next time
        self._found = changes, self._read()
        return may_read(self._found[1], self._feature, now=self._clock())
