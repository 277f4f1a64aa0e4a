"""The processes of a run: started here, or already started by torchrun or SLURM."""

import dataclasses
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy, Strategy
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

from mobiledet.errors import UserError
from mobiledet.files.leftovers import scratch_folder
from mobiledet.training.config import TrainConfig
from mobiledet.training.faults import resume_hint
from mobiledet.training.interruption import Interruption

Result = TypeVar("Result")

# Lightning announces the launch of processes in five lines that do not help users
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
# the option that replaces it is missing from the older versions of torch that we support
warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")

# environment variables for machines that are started by hand, see Lightning's LightningEnvironment
ADDRESS_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


def adopt_environment(config: TrainConfig) -> TrainConfig:
    """The settings with the numbers of processes and machines that torchrun or SLURM started, if either did.

    Raises:
        UserError: several machines are requested, but the environment lacks their addresses.
    """
    world = launched_world()
    if world:
        devices, nodes = world
        return dataclasses.replace(config, devices=devices, nodes=nodes)
    missing = [name for name in ADDRESS_VARIABLES if name not in os.environ]
    if config.nodes > 1 and missing:
        raise UserError(
            f"--nodes {config.nodes} needs {', '.join(missing)} in the environment; or start with torchrun or srun"
        )
    return config


def launched_world() -> tuple[int, int] | None:
    """Number of processes per machine and number of machines, if torchrun or SLURM has started this process as one of
    several; otherwise None."""
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        return devices, int(os.environ["WORLD_SIZE"]) // devices
    if SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", 1))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return None


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for one process or several, not launched yet.

    Raises:
        UserError: the accelerator does not exist, or has fewer devices than requested.
    """
    strategy: Strategy | str = "auto"
    if config.device_count * config.nodes > 1:
        strategy = DDPStrategy(
            # with "popen" Lightning uses the processes that a launcher has started
            start_method="popen" if launched_world() else "spawn",
            # statistics of batch normalisation are averaged once an epoch instead, see ``AveragedWeights.synchronize``
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )
    try:
        return Fabric(
            accelerator=config.accelerator,
            strategy=strategy,
            devices=config.device_count,
            num_nodes=config.nodes,
            precision=_precision(config),
        )
    except (RuntimeError, ValueError) as error:  # lightning's MisconfigurationException is one of them
        reason = str(error).splitlines()[0]
        raise UserError(f"--accelerator {config.accelerator} --devices {config.devices}: {reason}") from error


def _precision(config: TrainConfig) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """The precision in the settings; with "auto" bf16 on a GPU that supports it, otherwise 32 bits."""
    if config.precision != "auto":
        return config.precision
    wants_cuda = config.accelerator in ("auto", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if wants_cuda and torch.cuda.is_bf16_supported() else "32-true"


def launch(fabric: Fabric, function: Callable[[Fabric], Result], folder: Path | None = None) -> Result:
    """Call ``function`` in every process of the run; returns its result in rank 0.

    Args:
        fabric: Fabric that is not launched yet.
        function: called in each process with the launched Fabric.
        folder: the run folder, for error messages.

    Raises:
        UserError: one of the processes raised it, or was killed.
        Interrupted: SIGINT or SIGTERM stopped the run.
    """
    starts_others = isinstance(fabric.strategy, DDPStrategy) and not launched_world()
    with (
        scratch_folder("launch") as scratch,
        Interruption(forward=True) if starts_others else nullcontext() as own,
    ):
        mistake = scratch / "mistake.txt"
        try:
            result = fabric.launch(partial(_telling_exceptions, function=function, mistake=mistake))
        except ProcessException as error:
            if mistake.exists():
                raise UserError(mistake.read_text(encoding="utf-8")) from error
            if own and own.number:
                raise SystemExit(128 + own.number) from error
            if isinstance(error, ProcessExitedException) and error.signal_name:
                raise UserError(
                    f"process {error.error_index} of the run was killed by {error.signal_name}, perhaps for lack of "
                    f"memory (use fewer --devices or a lower --batch-size); {resume_hint(folder)}"
                ) from error
            raise
    if isinstance(result, KeyboardInterrupt):
        raise result
    return result


def _telling_exceptions(
    fabric: Fabric, function: Callable[[Fabric], Result], mistake: Path
) -> Result | KeyboardInterrupt:
    """Call ``function``, and pass exceptions on in a form that crosses processes. The message of a UserError is written
    to the file ``mistake``, because the processes that wait for the failed one die too; an interruption is returned."""
    try:
        return function(fabric)
    except UserError as error:
        mistake.write_text(str(error), encoding="utf-8")
        raise
    except KeyboardInterrupt as interruption:
        return interruption
