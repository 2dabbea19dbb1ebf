"""Bulk runs on a real Ray cluster: a head and a second node, as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bulk.outputs import command, rows_of
from mien.bulk import Output

pytest.importorskip("ray")
RAY = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats", "--num-cpus=1"]


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Nodes:
    """A head and a second node; each is a process with a group of its own, and is ended by that group's id."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        head = ["--head", "--node-ip-address=127.0.0.1", f"--port={self.address.rsplit(':', 1)[1]}"]
        self.head = self._start(*head, "--include-dashboard=false")
        self._wait(1)
        self.second = self.join()

    def join(self):
        second = self._start(f"--address={self.address}", "--node-ip-address=127.0.0.1")
        self._wait(2)
        return second

    def _start(self, *arguments):
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*RAY, *arguments], start_new_session=True, **silent)

    def _wait(self, alive: int) -> None:
        program = (
            f"import ray; ray.init('{self.address}', log_to_driver=False, logging_level='ERROR');"
            f"assert ray.cluster_resources().get('CPU') == {alive}"
        )
        for _ in range(60):
            if subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.5)
        raise AssertionError("the cluster did not come up")

    def end(self) -> None:
        for process in (self.second, self.head):
            end_group(process)


def end_group(process) -> None:
    """Ray's own processes leave the group of what started them, and are its descendants."""
    import psutil

    try:
        descendants = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        descendants = []
    for one in [*descendants, process]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def nodes():
    made = Nodes()
    yield made
    made.end()


@pytest.mark.slow
def test_a_cluster_gives_the_rows_of_one_machine_also_when_a_node_is_lost(
    nodes, inputs, toy, tmp_path, monkeypatch, undisturbed
):
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    whole = rows_of(undisturbed[1], tmp_path / "whole")
    done = subprocess.run(command(inputs, tmp_path / "out", toy, "--on", "ray"), check=False, capture_output=True)
    assert done.returncode == 1, done.stderr  # one input is damaged
    assert rows_of(tmp_path / "out", tmp_path / "calm") == whole

    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    driver = subprocess.Popen(command(inputs, tmp_path / "lossy", toy, "--on", "ray"), **silent)
    time.sleep(4)
    end_group(nodes.second)
    _, said = driver.communicate(timeout=240)
    assert driver.returncode == 1, said
    assert rows_of(tmp_path / "lossy", tmp_path / "disturbed") == whole
    assert Output(tmp_path / "lossy").status().items == 10


@pytest.mark.slow
def test_no_cluster_is_one_sentence(inputs, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    done = subprocess.run(
        command(inputs, tmp_path / "out", toy, "--on", "ray"), check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"no Ray cluster answers at 127.0.0.1" in done.stderr
