"""``mien serve`` from the shell: it starts, is reached by its own address alone, and refuses what is unsafe."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest
import typer
from typer.testing import CliRunner

from mien.cli.serve import _is_loopback, register

runner = CliRunner()
app = typer.Typer()
register(app)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "example.org", "::"])
def test_other_hosts_need_tls_or_an_explicit_word(host):
    done = runner.invoke(app, ["--host", host, "--no-browser"])
    assert done.exit_code == 2
    assert "--plain-http" in done.output


@pytest.mark.parametrize(
    "options", [["--tls-cert", "a.pem"], ["--tls-key", "a.pem"], ["--port", "70000"], ["--port", "x"]]
)
def test_wrong_options_are_refused(options):
    assert runner.invoke(app, ["--no-browser", *options]).exit_code == 2


def test_a_missing_certificate_is_named(tmp_path):
    done = runner.invoke(app, ["--tls-cert", str(tmp_path / "a.pem"), "--tls-key", str(tmp_path / "b.pem")])
    assert done.exit_code == 1
    assert "a.pem" in str(done.exception)


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = runner.invoke(app, ["--no-browser", "--port", str(taken.getsockname()[1])])
    assert done.exit_code == 1
    assert "is mien running already?" in str(done.exception)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("mien", False)],
)
def test_this_machines_own_addresses_are_known(host, loopback):
    assert _is_loopback(host) is loopback


@pytest.mark.slow
def test_it_starts_is_reached_by_its_address_alone_and_ends_by_ctrl_c(tmp_path):
    environment = {**os.environ, "MIEN_HOME": str(tmp_path)}
    command = [sys.executable, "-c", "from mien.cli.main import run; run()", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        url = next(line.strip() for line in process.stdout if "/enter?" in line)
        port = int(re.search(r":(\d+)/", url)[1])
        assert httpx.get(url, trust_env=False, timeout=30).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 403
        others = [one for one in socket.gethostbyname_ex(socket.gethostname())[2] if not one.startswith("127.")]
        for address in others:
            with socket.socket() as outside:
                outside.settimeout(2)
                assert outside.connect_ex((address, port)) != 0
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
    assert (tmp_path / "app.db").exists()
