"""Nothing is connected to but the app itself and a room that was joined: watched from inside and by the kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from app.serving import NetworkLine, Talk
from mien.core.policy import Purpose

_WATCHED = """
import json, sys
log = open(sys.argv.pop(1), "a", buffering=1)
names = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
         "urllib.Request", "subprocess.Popen", "os.system", "os.posix_spawn", "webbrowser.open", "ftplib.connect",
         "http.client.connect", "smtplib.connect")
def hook(name, given):
    if name in names:
        log.write(json.dumps([name, [str(one) for one in given if not hasattr(one, "fileno")]]) + "\\n")
sys.addaudithook(hook)
from mien.cli.main import run
run()
"""


class Kernel(threading.Thread):
    """Looks again and again at which peers a process's sockets have, as the kernel lists them."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peers: set[tuple[str, str]] = set()
        self.over = threading.Event()
        self._pid = pid

    def run(self) -> None:
        while not self.over.wait(0.02):
            self._look()

    def _look(self) -> None:
        try:
            links = [str(one.readlink()) for one in Path(f"/proc/{self._pid}/fd").iterdir()]
        except OSError:
            return
        mine = {link[8:-1] for link in links if link.startswith("socket:[")}
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            for line in Path(f"/proc/{self._pid}/net/{kind}").read_text().splitlines()[1:]:
                parts = line.split()
                if parts[9] in mine and not parts[2].startswith("0" * 8):
                    self.peers.add((parts[1], parts[2]))


def agree(client: httpx.Client) -> None:
    client.post("/purpose", data={"purpose": str(Purpose.AUDIENCE_TEST), "place": "eu"})
    shown = re.search(r'name="consent" value="(\w+)"', client.get("/consent").text)[1]
    assert client.post("/consent", data={"consent": shown, "agreed": "yes"}).status_code == 303


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux, whose kernel lists sockets in /proc")
def test_a_whole_day_of_the_app_connects_to_nothing_but_itself_and_its_room(tmp_path, one_face):
    log = tmp_path / "log"
    environment = {**os.environ, "MIEN_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _WATCHED, str(log), "serve", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    kernel = Kernel(process.pid)
    kernel.start()
    try:
        url = next(line.strip() for line in process.stdout if "/enter?" in line)
        origin, port = url.partition("/enter")[0], int(re.search(r":(\d+)/", url)[1])
        with httpx.Client(base_url=origin, headers={"origin": origin}, trust_env=False, timeout=60) as client:
            client.get(url)
            agree(client)
            cookie = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
            path = origin.replace("http", "ws") + "/live/frames"
            options = {"origin": origin, "additional_headers": {"cookie": cookie}, "proxy": None, "max_size": 2**22}
            with connect(path, **options) as connection:
                talk = Talk(NetworkLine(connection))
                talk.hear("ready")
                talk.tell("map", on=True)
                talk.record()
                end = time.monotonic() + 2.5
                while time.monotonic() < end:
                    talk.view(one_face)
                talk.tell("stop")
                talk.hear("recording")
            pages = ("/", "/live", "/recordings", "/recordings/1", "/recordings/1/course.svg", "/advice", "/privacy")
            for page in (*pages, "/recordings/1/export.csv", "/recordings/1/export.parquet", "/help", "/upload"):
                assert client.get(page).status_code == 200, page
            assert client.post("/upload/read?agreed=yes", content=one_face).status_code == 200
            client.post("/rooms/open", data={"reach": "here"})
            host = client.get("/rooms/host").text
            address = re.search(r"<strong>(http[^<]+)</strong>", host)[1]
            code = re.search(r'class="code">(\w+)<', host)[1]
            assert client.post("/rooms/join", data={"address": address, "code": code}).status_code == 303
            assert client.post("/rooms/consent", data={"agreed": "yes"}).status_code == 303
            seat = f"0100007F:{int(address.rpartition(':')[2]):04X}"
            end = time.monotonic() + 30
            while time.monotonic() < end and seat not in {theirs for _, theirs in kernel.peers}:
                client.post("/rooms/tap", data={"pace": "fine"})
            client.post("/rooms/leave")
            client.post("/rooms/close")
            client.post("/consent/withdraw")
        time.sleep(0.1)
    finally:
        kernel.over.set()
        kernel.join()
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
    room = int(address.rpartition(":")[2])
    events = [json.loads(line) for line in log.read_text().splitlines()]
    connected = {given[0] for name, given in events if name == "socket.connect"}
    assert connected <= {f"('127.0.0.1', {room})"}
    looked_up = {given[0] for name, given in events if name == "socket.getaddrinfo"}
    assert looked_up <= {"127.0.0.1", "None"}
    started = {Path(given[0]).name for name, given in events if name == "subprocess.Popen"}
    assert started <= {"fc-list", "uname"}  # matplotlib lists this machine's fonts, once
    assert {name for name, _ in events} <= {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"}
    hexadecimal = {f"0100007F:{number:04X}" for number in (port, room)}
    assert seat in {theirs for _, theirs in kernel.peers}  # it does see what is connected to
    for ours, theirs in kernel.peers:
        assert {ours, theirs} & hexadecimal, (ours, theirs)
