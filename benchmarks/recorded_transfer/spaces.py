"""The search spaces of `plan.WAVES`, by name: what `understock search --space .../spaces.py:g1000_d1000_s0_n6144` is given."""

from benchmarks.recorded_transfer.plan import WAVES, space_of

globals().update({wave.key.replace("-", "_"): space_of(wave) for wave in WAVES})  # a name a wave, for FILE.py:NAME
