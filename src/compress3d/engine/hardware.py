"""What computes here, in words for results files, and in which precision it should."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

from compress3d import paths

NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # without either a demo step takes 34 s in bfloat16, 0.95 s in float32


def _native_names() -> list[str]:
    return [name for name in NATIVE_BFLOAT16 if torch.cpu.get_capabilities().get(name, False)]


def native_bfloat16(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 by itself; where it does not, the emulation is far slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(_native_names())


def choose_precision(asked: str, device: torch.device, report: bool = True) -> str:
    """`asked`, "bfloat16" or "float32"; float32 where bfloat16 is not native, with one line that says so."""
    if asked == "float32" or native_bfloat16(device):
        return asked
    if report:
        name = describe(device)["processor"]
        print(f"float32 instead of {asked}, which {name} does not compute by itself", file=sys.stderr)
    return "float32"


def choose_device(asked: str | None = None) -> torch.device:
    """`asked`, "cpu" or "cuda"; a GPU where there is one."""
    return torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))


def describe(device: torch.device) -> dict[str, str]:
    """`device`, `processor` (of a CPU or GPU, by name) and its `capability`."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return {"device": "cuda", "processor": torch.cuda.get_device_name(device), "capability": f"{major}.{minor}"}
    capability = " ".join([torch.backends.cpu.get_cpu_capability(), *_native_names()])
    return {"device": "cpu", "processor": _cpu_name(), "capability": capability}


@cache
def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor that has no name there
        return platform.processor() or platform.machine()


@cache
def commit() -> str | None:
    """The commit of the checkout that runs, with "+" where files differ from it; None outside a checkout."""
    ask = ["git", "-C", str(paths.root()), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
