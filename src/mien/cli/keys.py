"""Ends a command that would run for ever: Ctrl-C, or ``q`` on the terminal."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_GLANCE = 0.25


@contextmanager
def ended_by_user() -> Iterator[threading.Event]:
    """An event that Ctrl-C and ``q`` set, so that everything in hand is finished; a second Ctrl-C breaks off."""
    stop = threading.Event()

    def interrupted(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        with _watched_keys(stop):
            yield stop
    finally:
        signal.signal(signal.SIGINT, before)


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def _watched_keys(stop: threading.Event) -> Iterator[None]:
        over = threading.Event()

        def listen() -> None:
            while not over.wait(_GLANCE):
                while msvcrt.kbhit():
                    if msvcrt.getwch() in "qQ":
                        stop.set()

        with _listening(listen, over):
            yield

else:
    import os
    import select
    import termios
    import tty

    @contextmanager
    def _watched_keys(stop: threading.Event) -> Iterator[None]:
        """Take single keys from the terminal, where there is one and this program is in its foreground."""
        try:
            keys = sys.stdin.fileno()
            foreground = os.isatty(keys) and os.tcgetpgrp(keys) == os.getpgrp()
        except (OSError, ValueError):
            foreground = False
        if not foreground:
            yield
            return
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                ready, _, _ = select.select([keys], [], [], _GLANCE)
                if ready and os.read(keys, 1) in (b"q", b"Q", b""):
                    stop.set()
                    return

        settings = termios.tcgetattr(keys)
        try:
            tty.setcbreak(keys)
            with _listening(listen, over):
                yield
        finally:
            termios.tcsetattr(keys, termios.TCSADRAIN, settings)


@contextmanager
def _listening(listen: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=listen, name="mien-keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
