"""What this machine computes on, and how it is fast at that."""

import ctypes
import sys
from typing import Literal

import scipy.linalg  # noqa: F401  its BLAS is loaded, so it can be told
import torch
from threadpoolctl import threadpool_limits

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt."""


def use_cores(threads: int) -> None:
    """Compute on `threads` cores in this process, and keep memory that is freed for what is allocated next.

    NumPy and SciPy too, for more than courtesy: the last bits of a product can depend on how many threads share it.

    By default glibc gives large blocks back to Linux, which then fills each with zeros again: 10,000 page faults a training
    iteration (width 16, 32 pixels, batch 32), 5 % of its time.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, 256 * 2**20)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 2**20)


def best_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What a row of results calls it: the GPU's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def native_precision(device: torch.device) -> Literal["float32", "bfloat16"]:
    """bfloat16 where the hardware multiplies it faster than float32 (measured 1.7x at width 32 on AVX512-BF16)."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.backends.mkldnn.is_available() and _cpu_has_bf16() else "float32"


def _cpu_has_bf16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
