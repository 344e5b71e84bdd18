"""BentoML's supervisor as we need it: private, patient with its workers, and certain to end.

As it comes, the supervisor (circus)

- listens on two TCP ports of 127.0.0.1, where any local user may have it run a command or print its
  environment;
- keeps sockets in the temporary folder, and removes them while its workers still use them;
- reloads on SIGHUP, after which it can only be killed, and drops a SIGTERM that comes while it is
  busy;
- looks after its workers every ten seconds, and in a container not at all;
- gives workers a day to stop;
- shares one folder of metric files with every other instance, and empties it when it starts.

There is no setting for any of it. This reaches into BentoML 1.4.39 (pinned) and the circus it
brings (kantoku 0.18); its test notices if another version has moved what it leans on.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bentoml._internal.utils import circus
from circus.arbiter import Arbiter

from service.processes.instance import Instance

_LOOK_AFTER_WORKERS_S = 1.0
_SAY_AGAIN_S = 0.2


class _PatientArbiter(circus.Arbiter):
    """Removes the sockets after the workers have gone, not before."""

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        try:
            super().start(cb)
        finally:
            self.exit_stack.close()

    def stop(self) -> Any:
        return Arbiter.stop(self)  # not BentoML's, which would remove them here


def tame_supervisor(
    instance: Instance, stop_within_s: float, environment: Mapping[str, str]
) -> None:
    """Have the supervisor that BentoML makes next be one of ours.

    Args:
        instance: Where sockets and metric files go; removed when the supervisor ends.
        stop_within_s: Seconds after which a worker that does not stop is killed.
        environment: Variables for the workers alone.
    """
    tempfile.tempdir = str(instance.folder)  # BentoML makes the folder of the sockets there
    create = partial(_create, instance, stop_within_s, environment)
    # BentoML looks these two up as it makes its supervisor.
    circus.Arbiter = partial(create, _PatientArbiter)  # type: ignore[misc,assignment]
    circus.ThreadedArbiter = partial(create, circus.ThreadedArbiter)  # type: ignore[misc,assignment]


def _create(
    instance: Instance,
    stop_within_s: float,
    environment: Mapping[str, str],
    kind: Callable[..., Any],
    watchers: list[Any],
    **options: Any,
) -> Any:
    """Make a supervisor as BentoML would, but for what we know better."""
    for watcher in watchers:
        watcher.respawn = True
        watcher.graceful_timeout = stop_within_s
        watcher.env["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder(instance)
        watcher.env.update(environment)
    options["endpoint"] = f"ipc://{instance.folder}/control"
    options["pubsub_endpoint"] = f"ipc://{instance.folder}/events"
    options["check_delay"] = _LOOK_AFTER_WORKERS_S
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # by nohup
    arbiter = kind(watchers, **options)
    arbiter.exit_stack.callback(instance.remove)
    _stop_for_certain(arbiter)
    if ignored:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return arbiter


def _metrics_folder(instance: Instance) -> str:
    folder = instance.folder / "metrics"
    folder.mkdir(exist_ok=True)
    return str(folder)


def _stop_for_certain(arbiter: Any) -> None:
    """Have every signal that means a stop lead to one, and SIGHUP mean a stop."""
    signals = arbiter.ctrl.sys_hdl
    say_once = signals.quit

    def say_until_heard() -> None:
        if not arbiter._stopping:  # it refuses while it is busy starting a worker
            say_once()
            arbiter.loop.add_callback_from_signal(
                arbiter.loop.call_later, _SAY_AGAIN_S, say_until_heard
            )

    signals.quit = signals.handle_hup = say_until_heard
