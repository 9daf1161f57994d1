"""From a search space to trial configs: load it, let it suggest parameters, lay them over the study's base config."""

import importlib.util
import traceback
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from search.records.results import flat_config, merged
from search.records.study import StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError, lookup
from spaces.methods.finetune import FinetuneConfig
from spaces.suggest import COMMON_TO_ALL, SPACES, Space
from spaces.trials import CONFIGS, parse_trial, takes_source
from spaces.trials import takes_domains as takes_domains_of
from trainables.machine.interrupts import kept_interrupts
from trainables.methods.finetuning.finetune import check_penalty
from trainables.networks.families import GENERATOR
from trainables.storage.home import StorageError
from trainables.storage.store import StoreError

GRID_LIMIT = 10_000
"""Combinations above which a space is refused as a grid."""

PROBES = 32
"""Random trials that tell what a space varies."""

_RESOLUTION, _PARTS = "network/resolution", "transfer/parts"

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study, also those of `probe` and `grid`


def load_space(space: str) -> Space:
    """Load a space by its name, or the user's own from FILE.py:FUNCTION (or a Space there), whose file is run.

    Raises UserError if there is no such name, file or function, or if the file raises an error.
    """
    path, _, function = space.rpartition(":")
    if not path.endswith(".py"):
        return lookup(SPACES, "space", space)
    if not Path(path).is_file():
        raise UserError(f"space {space!r}: there is no file {Path(path).absolute()}")
    module_spec = importlib.util.spec_from_file_location("user_space", path)
    assert module_spec is not None and module_spec.loader is not None, f"{path=}"
    module = importlib.util.module_from_spec(module_spec)
    with _users_own(f"space {space!r}", path):
        module_spec.loader.exec_module(module)
    suggest = getattr(module, function, None)
    if isinstance(suggest, Space):
        return suggest
    if not callable(suggest):
        there = sorted(name for name, value in vars(module).items() if callable(value) and name[0] != "_")
        raise UserError(f"space {space!r}: {path} has no function {function!r}; it has: {', '.join(there) or 'none'}")
    return Space(suggest)


@contextmanager
def _users_own(what: str, path: str) -> Iterator[None]:
    """Whatever the user's code in the block raises, SystemExit and KeyboardInterrupt too, becomes a UserError.

    Ctrl-C in the block takes effect at its end, so that it is not taken for the code's own. An error of the disk in what Optuna
    writes there is not the code's own either, and stays what it is.
    """
    with kept_interrupts():
        try:
            yield
        except (StorageError, StoreError):
            raise
        except BaseException as error:
            raise UserError(f"{what}: {_line_of(error, path)}") from error


def _line_of(error: BaseException, path: str) -> str:
    """Say an error and where in the user's file it was raised: "ValueError: no such thing (FILE.py, line 7)"."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    return f"{type(error).__name__}: {error}" + (f" ({path}, line {lines[-1]})" if lines else "")


def trial_config(spec: StudySpec, space: Space, trial: Any) -> TrialConfig:
    """Let `space` suggest on `trial` (an optuna trial), and lay its parameters over the study's base config.

    UserError if the function raises, or suggests a field that is unknown, out of range, or common to all trials.
    """
    with _users_own(f"space {spec.space!r} failed", spec.space.rpartition(":")[0]):
        given: dict[str, Any] = {"sources": list(spec.sources), "train_images": spec.train_images}
        if takes_domains(space):
            given["domains"] = list(spec.domains)
        begun = _AsBegun(trial)
        space.suggest(_Offered(begun, spec.without_critic) if spec.without_critic else begun, **given)
    config = overlaid(spec.base, trial.params, f"space {spec.space!r}", spec.without_critic)
    _check(config, spec)
    return config


class _AsBegun:
    """A trial that has the choices of its study's earlier trials, where a later version of a space has these and more.

    Optuna knows one list of choices for a parameter of a study, so that one from before a method was added keeps to its own.
    """

    def __init__(self, trial: Any) -> None:
        study = getattr(trial, "study", None)  # which a trial that only has values has not
        self._trial, self._trials = trial, study.get_trials(deepcopy=False) if study else ()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As the trial does, of the choices that there were."""
        earlier = self._earlier(name)
        return self._trial.suggest_categorical(
            name, choices if earlier is None or set(earlier) - {*choices} else earlier
        )

    def _earlier(self, name: str) -> tuple[Any, ...] | None:
        trials = self._trial, *reversed(self._trials)
        found = (each.distributions[name] for each in trials if name in each.distributions)
        kind = next(found, None)
        return kind.choices if isinstance(kind, CategoricalDistribution) else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)


class _Offered:
    """A trial that offers a source without a critic its generator alone, which is no choice: no parameter is suggested."""

    def __init__(self, trial: Any, without_critic: Collection[str]) -> None:
        self._trial, self._without_critic = trial, without_critic

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As the trial does, but for the networks of a source that has one."""
        source = self._trial.params.get("source")
        if name != _PARTS or source not in self._without_critic:
            return self._trial.suggest_categorical(name, choices)
        if GENERATOR not in choices:
            raise UserError(
                f"source {source!r} has no critic, and the space offers {_PARTS} {', '.join(choices)} alone"
            )
        return GENERATOR

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)


def takes_domains(space: Space) -> bool:
    """Whether some method of the space takes the images of source domains."""
    return any(map(takes_domains_of, space.methods))


def _check(config: TrialConfig, spec: StudySpec) -> None:
    """Raise UserError if a trial of this config could only fail."""
    where = f"space {spec.space!r} suggests"
    known = spec.domains if config.domains else (*spec.sources, SCRATCH)
    for source in (config.source, *config.sources_beside):
        if source not in known:
            raise UserError(f"{where} source {source!r}; the study has: {', '.join(known) or 'none'}")
    if (config.data.target_images or 1) > spec.train_images:
        raise UserError(
            f"{where} data/target_images={config.data.target_images}; the study has {spec.train_images} at most"
        )
    if spec.metric not in ("iw", "pair_error") and (reason := config.unjudged(spec.base.protocol)):
        raise UserError(f"{where} method {config.method!r}, which {reason}")  # by iw, studies of earlier versions go on
    if config.batch and config.batch < spec.workers_per_trial:
        raise UserError(
            f"{where} method {config.method!r} with {config.batch} in a batch (or tasks in a step), which "
            f"{spec.workers_per_trial} workers can't share; give --workers-per-trial {config.batch}"
        )
    if isinstance(config, FinetuneConfig):
        check_penalty(config)
    pixels, here = (flat_config(each).get(_RESOLUTION) for each in (config, spec.base))
    if pixels not in (None, here):
        raise UserError(f"{where} {_RESOLUTION}={pixels}; the target has {here} pixels")


def overlaid(
    base: TrialConfig, parameters: Mapping[str, Any], where: str, without_critic: Collection[str] = ()
) -> TrialConfig:
    """Lay `parameters`, values by a field's path ("optim/lr_g": 1e-4), over the config `base`; give the new config.

    Of the sources `without_critic` the generator alone is transferred, unless parameters say otherwise. `where` names the
    parameters' origin in messages. Raises UserError for a field that is unknown, out of range, or common to all trials of a
    study.
    """
    common = sorted(name for name in parameters if name.split("/")[0] in COMMON_TO_ALL)
    if common:
        raise UserError(
            f"{where} suggests {common[0]!r}, which all trials of a study have in common, or they would not compare"
        )
    own = parameters
    if not takes_source(parameters.get("method", base.method)):
        own = {name: value for name, value in parameters.items() if name != "source"}
    return parse_trial(merged(_base_values(base, own, without_critic), own), where)


def _base_values(base: TrialConfig, parameters: Mapping[str, Any], without_critic: Collection[str]) -> dict[str, Any]:
    """The base config as nested values, as far as the suggested method has them.

    A source that is suggested brings the default way of transfer along; and half of the images are mirrored by methods that
    take domains where fine-tuning would do so.
    """
    values, source = base.model_dump(), parameters.get("source", SCRATCH)
    if source in without_critic and "transfer" in values:
        values["transfer"]["parts"] = GENERATOR
    elif source != SCRATCH and base.source == SCRATCH and "transfer" in values:
        del values["transfer"]["parts"]
    method = parameters.get("method", base.method)
    fields = CONFIGS[method].model_fields if method in CONFIGS else {}
    found = {name: value for name, value in values.items() if name in fields} | {"method": method}
    if "training" in fields and takes_domains_of(method) and base.method != method:
        found["training"] = {"flip": bool(values.get("augment", {}).get("flip"))}
    return found


def probe(spec: StudySpec, space: Space) -> tuple[TrialConfig, optuna.trial.FrozenTrial]:
    """Make one random trial of the space, told to nobody: its config, and the trial as Optuna has it.

    Raises UserError if the space does not fit the study: now, rather than in the middle of the search.
    """
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=spec.seed))
    trial = study.ask()
    return trial_config(spec, space, trial), study.trials[-1]


def varied(spec: StudySpec, space: Space) -> set[str]:
    """The names of what the space suggests in random trials: what one suggests may depend on what it drew before."""
    return {name for trial in _random_trials(spec, space) for name in trial.params}


def check_varied(spec: StudySpec, space: Space) -> None:
    """Raise UserError if a second trial would only repeat the first one: in random trials nothing had a choice.

    All trials of a study have one seed, unless its space suggests others.
    """
    if spec.most_trials == 1:
        return
    kinds = (kind for trial in _random_trials(spec, space) for kind in trial.distributions.values())
    if any(not kind.single() for kind in kinds):
        return
    count = "" if spec.trials is None else f"{spec.trials:,} "
    raise UserError(
        f"space {spec.space!r} varies nothing, so that all {count}trials would be the same; give --trials 1, or let it suggest "
        "something that has several values, if only trial.suggest_int('seed', 0, 9)"
    )


def check_choices(spec: StudySpec, space: Space) -> None:
    """Raise UserError if random trials are offered different choices of one parameter, as where they depend on another one.

    Optuna knows one list of choices for a parameter of a study, so some of them would never be tried.
    """
    offered: dict[str, tuple[Any, ...]] = {}
    for trial in _random_trials(spec, space):
        for name, kind in trial.distributions.items():
            if isinstance(kind, CategoricalDistribution):
                first = offered.setdefault(name, kind.choices)
                if any((choice in first) != (choice in kind.choices) for choice in (*first, *kind.choices)):
                    one, other = (", ".join(map(str, choices)) for choices in (first, kind.choices))
                    raise UserError(
                        f"space {spec.space!r} offers {name} {one} in one trial and {other} in another, and a study has one list "
                        "of choices for it; offer the same ones in all trials, or make two spaces and search by each"
                    )


def _random_trials(spec: StudySpec, space: Space) -> Iterator[optuna.Trial]:
    """PROBES trials, told to nobody, each drawn when it is asked for and as far as the space suggests it."""
    sampler = optuna.samplers.RandomSampler(seed=spec.seed)
    for _ in range(PROBES):
        # in a study of its own, where no trial before it says what the choices are
        trial = optuna.create_study(sampler=sampler).ask()
        with suppress(UserError):  # which its trial will say
            trial_config(spec, space, trial)
        yield trial


def check_shared(spec: StudySpec, space: Space) -> None:
    """Raise UserError if the workers of a trial could not share what the space begins with: before it does."""
    for values in space.transfer_first if spec.workers_per_trial > 1 else ():
        sources = spec.domains if takes_domains_of(values.get("method", spec.base.method)) else spec.sources
        for source in sources[:1]:
            config = overlaid(spec.base, {"source": source, **values}, f"space {spec.space!r}", spec.without_critic)
            _check(config, spec)


def grid(spec: StudySpec, space: Space) -> list[dict[str, Any]]:
    """List every combination of parameters that the space can suggest, always in the same order.

    Raises UserError if a range is continuous, or if there are over GRID_LIMIT combinations.
    """
    combinations: list[dict[str, Any]] = []

    def visit(trial: optuna.Trial) -> float:
        trial_config(spec, space, trial)
        combinations.append(trial.params)
        if len(combinations) > GRID_LIMIT:
            raise UserError(f"space {spec.space!r} has over {GRID_LIMIT:,} combinations; use --sampler tpe")
        return 0.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=spec.seed))
    try:
        study.optimize(visit)
    except UserError as error:
        if "BruteForceSampler" in str(error.__cause__):
            raise UserError(f"space {spec.space!r} can't be a grid: a range has no steps; use --sampler tpe") from None
        raise
    return sorted(combinations, key=lambda parameters: [str(item) for item in parameters.items()])
