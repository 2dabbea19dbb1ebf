"""Whether a person's face may be read now: under their own consent, or under that to a room; and how they pause."""

from __future__ import annotations

from mien.app.law.consent import Consent, State
from mien.app.law.policy import Feature
from mien.app.law.terms import Scope
from mien.app.web.context import Context
from mien.core.errors import ConsentError, PolicyError


def on_their_own(context: Context) -> tuple[Consent | None, bool]:
    """The consent under which a face may be read, and whether it is paused.

    Raises:
        PolicyError: the policy does not allow it.
        ConsentError: nobody consented, or no longer.
    """
    consent = context.store.consent()
    if consent is not None and consent.state is State.PAUSED:
        context.allow(Feature.LIVE)
        return consent, True
    return context.gate(Feature.LIVE), False


def in_room(context: Context) -> tuple[Consent | None, bool]:
    """The consent to the room in which the person sits, and whether it is paused.

    Raises:
        PolicyError: the room asks for no faces, or the place that is set now forbids them for its purpose.
        ConsentError: there is no such room, it has ended, or so has the consent.
    """
    seat = context.seat
    if seat is None or not seat.going_on:
        raise ConsentError("you are in no room, or it has ended")
    if seat.text.scope is not Scope.ROOM_FACES:
        raise PolicyError("this room asks for no faces")
    if seat.client.terms(seat.about, context.store.settings.place).scope is not Scope.ROOM_FACES:
        raise PolicyError(
            f"the place that you chose forbids to read faces for the purpose of this room, {seat.text.purpose.words}: "
            "leave it, and join anew for taps alone"
        )
    seat.consent.check(seat.text, context.clock())
    return seat.consent, seat.paused


def pause(context: Context) -> None:
    """Pause the person's consent, in every tab."""
    consent = context.store.consent()
    if consent is not None and consent.state is State.GIVEN:
        context.store.keep(consent.pause(context.clock()))
    context.changed()


def resume(context: Context) -> None:
    """Go on after a pause."""
    consent = context.store.consent()
    if consent is not None and consent.state is State.PAUSED:
        context.store.keep(consent.resume(context.clock()))
    context.changed()
