"""An Android phone as a device, through the app's agent over adb."""

import dataclasses
import weakref
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import ImageSource
from mobiledet.devices.adb import app
from mobiledet.devices.adb.client import Phone, choose_serial, find_adb
from mobiledet.devices.adb.keeper import PhonePreparation
from mobiledet.devices.adb.state import merge, phone_state
from mobiledet.devices.agent.client import AgentSession
from mobiledet.devices.agent.connection import AgentRefusal
from mobiledet.devices.base import (
    BenchmarkPlan,
    BenchmarkSamples,
    DeviceInfo,
    DeviceState,
    Execution,
    Frame,
    GoldenReport,
)
from mobiledet.devices.options import ANY_PHONE, InputMode, PhoneOptions
from mobiledet.devices.starting import await_agent
from mobiledet.errors import UserError


class AdbDevice:
    """A phone that adb reaches. Its settings are restored when it is closed, and when this process ends in any way.

    Args:
        address: ``adb:SERIAL``, or ``adb`` for the only device.
        mode: as in ``AgentDevice``.
        options: preparation of the phone.

    Raises:
        UserError: adb, the phone or the app is missing, or one of them fails.
    """

    def __init__(self, address: str, mode: InputMode = "image", options: PhoneOptions = ANY_PHONE) -> None:
        mask = options.cpu_mask()
        adb = find_adb()
        self._phone = Phone(adb, choose_serial(adb, address.partition(":")[2]))
        self.name = self._phone.name
        if options.app:
            app.install(self._phone, options.app)
        elif not app.is_installed(self._phone):
            raise UserError(
                f"the app {app.PACKAGE} is not installed on {self.name}; install it with --app FILE.apk "
                "(apps/android/README.md says how to build it)"
            )
        with ExitStack() as stack:
            stack.callback(PhonePreparation(self._phone, options.fixed_performance).close)
            self._app = app.start(self._phone, mask)
            port = self._phone.call("forward", "tcp:0", f"tcp:{self._app.port}")
            stack.callback(_remove_forward, self._phone, port)
            with self.explained():
                self._agent = await_agent(f"http://127.0.0.1:{port}", self._app.token, mode, self._may_answer)
            stack.callback(self._agent.close)
            if mask:
                self._require_cores(mask)
            self._release = weakref.finalize(self, stack.pop_all().close)

    def info(self) -> DeviceInfo:
        return dataclasses.replace(self._agent.info(), name=self.name)

    def state(self) -> DeviceState:
        return merge(self._agent.state(), phone_state(self._phone))

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> "AdbSession":
        """See ``Device.load``."""
        with self.explained():
            return AdbSession(self, self._agent.load(bundle, file, accelerator, threads))

    def close(self) -> None:
        self._release()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add to an error why the app does not answer, if the phone knows it."""
        try:
            yield
        except AgentRefusal:
            raise
        except UserError as error:
            problem = self._phone.problem()
            if problem:
                raise UserError(f"{self.name} {problem}, then run the same command again") from error
            word = app.last_words(self._phone, self._app)
            if not app.process_id(self._phone):
                raise UserError(f"the app on {self.name} has ended: {word or 'adb logcat may say why'}") from error
            if word:
                raise UserError(f"{error}; the log of the app ends with: {word}") from error
            raise

    def require_foreground(self, state: DeviceState) -> None:
        """Refuse a measurement in the background, where a system may slow an app down.

        Raises:
            UserError: the app is not in the foreground.
        """
        if state.foreground is False:
            raise UserError(
                f"the app is not in the foreground on {self.name}: unlock the phone, leave it alone and measure again"
            )

    def _may_answer(self) -> bool:
        """Whether the app is running and has logged no error."""
        return bool(app.process_id(self._phone)) and not app.last_words(self._phone, self._app)

    def _require_cores(self, mask: str) -> None:
        masks = app.cpu_masks(self._phone, app.process_id(self._phone))
        if masks != {mask}:
            found = ", ".join(sorted(masks)) or "unknown"
            raise UserError(f"the app on {self.name} runs on the cores {found}, not {mask}; leave out --cpus")


class AdbSession:
    """A model file that the app has loaded."""

    def __init__(self, device: AdbDevice, session: AgentSession) -> None:
        self._device = device
        self._session = session

    @property
    def execution(self) -> Execution:
        return self._session.execution

    def golden(self) -> GoldenReport:
        with self._device.explained():
            return self._session.golden()

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        with self._device.explained():
            yield from self._session.detect(images, apply_orientation)

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """See ``Session.benchmark``. The phone's services are queried before and after it, never during it."""
        with self._device.explained():
            before = self._device.state()
            self._device.require_foreground(before)
            samples = self._session.benchmark(plan)
            after = self._device.state()
            self._device.require_foreground(after)
        if samples is None or not samples.states:
            return samples
        first, last = merge(samples.states[0], before), merge(samples.states[-1], after)
        return dataclasses.replace(samples, states=(first, *samples.states[1:-1], last))


def _remove_forward(phone: Phone, port: str) -> None:
    with suppress(UserError):
        phone.run("forward", "--remove", f"tcp:{port}")
