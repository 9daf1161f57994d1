"""Seeded random numbers, a stream of their own for each purpose: two purposes with equal seeds do not draw the same."""

import hashlib

import torch


def random_numbers(purpose: str, *seeds: int) -> torch.Generator:
    """Make a generator on the CPU whose numbers depend on `purpose`, any words that name it, and on the seeds alone."""
    digest = hashlib.blake2b(repr((purpose, *seeds)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest))
