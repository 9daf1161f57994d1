"""Running a study, and who keeps what of its trials meanwhile.

The *journal* (`search.records.journal.Journal`) is Optuna's file. It owns which trials there are: their numbers,
parameters, scores and states. Samplers draw the next trial from it.

The *evaluations table* (`search.records.results`) is one Parquet file a trial. It owns what was measured: a row for each
evaluation, with the trial's whole config and status. Reports and later searches read it.

The *ledger* (`search.running.ledger.Ledger`) is the only writer of both, and sees to it that they say the same, whenever
its process is killed. It owns what is left to do, and keeps nothing that is not on disk.

The *run* (`search.running.run.Run`) is one process at work on a study under Ray Tune. It owns what ends with that process:
which of Tune's trials is which of the ledger's, what the person at the terminal sees, and why the run halts.
"""
