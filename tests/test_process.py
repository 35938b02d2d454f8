"""Processes that end with their parent: killed without a chance to tell its children, it leaves none behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

POOL = """
import os, time
from compress3d.data.parallel import ordered_map

def work(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once: two processes share the pipe
    time.sleep(600)

list(ordered_map(work, range(2), workers=2))
"""
COMMAND = """
import subprocess, sys
from compress3d.process import die_with_parent

child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
subprocess.run([sys.executable, "-c", child], preexec_fn=die_with_parent)
"""


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("code, children", [(POOL, 2), (COMMAND, 1)], ids=["workers of a pool", "a command"])
def test_children_of_a_killed_process_end(code, children, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    pids = [int(parent.stdout.readline()) for _ in range(children)]
    try:
        assert all(map(is_running, pids))
        parent.kill()
        parent.wait()
        for _ in range(600):  # the kernel needs a moment, a machine under load a longer one
            if not any(map(is_running, pids)):
                break
            time.sleep(0.05)
        assert not any(map(is_running, pids))
    finally:
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)
