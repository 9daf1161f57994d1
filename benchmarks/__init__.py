"""What is measured of understock, a folder a question. Nothing that ships imports from here.

- `speed/`: how long does a piece of work take, ours beside peers', and does speed leave the results alone?
- `overhead/`: what does a search cost beside its training?
- `faults/`: does it survive kills, wrong calls and damaged files?
- `recorded_transfer/`: what came of transfer, source by source? The recorded table that others read.
- `search_efficiency/`: which way of searching finds a good trial soonest, on that table and live?
- `judging/`: are scores, rankings, picks and reported gains right?
- `transfer/`: what does a source gain over training from scratch, for how long, and in which networks?
- `methods/`: does each method of the literature beat its baseline?
- `making/`: nothing is asked; makes the builtin source models and the example report.

`python -m benchmarks` (`make bench`) runs what can be had in a quarter of an hour, RESULTS.md has what came out. Of the files
here `setting_up.py` is what runs begin with, `small_study.py` a study to break, `results.py` the CSV of runs that take hours.
"""
