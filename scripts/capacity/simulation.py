"""Public and inference services as queues that share cores, event by event.

A picture is prepared in one of its public's imaging threads, goes through the network, and is
finished in an imaging thread. Balancers give it to whoever has the fewest. An inference runs one
batch at a time, of all that waits. What runs on one machine shares its cores by what it could use.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from scripts.command import Unusable

Layout = Literal["one", "each", "pair"]

_BEFORE, _NETWORK, _AFTER = range(3)
_NOTHING_S = 1e-12


@dataclass(frozen=True)
class Step:
    """What a picture takes of one service.

    Attributes:
        core_s: Core seconds.
        alone_s: Seconds, where nothing else runs.
    """

    core_s: float
    alone_s: float

    @property
    def width(self) -> float:
        """Cores it uses where nothing else runs."""
        return self.core_s / self.alone_s


@dataclass(frozen=True)
class Costs:
    """What one picture takes, and how many are taken at once.

    Attributes:
        prepare: Of public, before the network.
        network: Of inference, the hop included.
        finish: Of public, after the network.
        threads: Pictures that a public works on at once.
        largest_batch: Pictures of one batch, which takes as much as its pictures one by one.
    """

    prepare: Step
    network: Step
    finish: Step
    threads: int = 2
    largest_batch: int = 8

    @property
    def core_s(self) -> float:
        """Core seconds of a picture, all steps together."""
        return self.prepare.core_s + self.network.core_s + self.finish.core_s

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> Self:
        """Those of a report.

        Raises:
            Unusable: If it has none.
        """
        try:
            found = report["costs"]
            prepare, network, finish = (Step(**found[n]) for n in ("prepare", "network", "finish"))
            return cls(prepare, network, finish, found["threads"], found["largest_batch"])
        except (KeyError, TypeError) as fault:
            raise Unusable("this is no report of scripts.capacity.measure") from fault


@dataclass(frozen=True)
class Plant:
    """What there is.

    Attributes:
        publics: How many.
        inferences: How many; as many as publics where they are pairs.
        cores: Of each machine.
        layout: `one` machine for all of them; a machine for `each`; or for each `pair` of a public
            and the inference that it alone uses, which is the whole container.
    """

    publics: int
    inferences: int
    cores: int
    layout: Layout


@dataclass
class _Work:
    """Something that takes cores: one picture in a thread, or a batch."""

    station: _Station
    pictures: list[_Picture]
    left_s: float
    width: float
    rate: float = 0.0


@dataclass
class _Picture:
    came_s: float
    public: _Station
    step: int = _BEFORE


@dataclass
class _Station:
    """A public or an inference."""

    machine: int
    at_once: int
    batch: int
    waiting: list[_Picture] = field(default_factory=list)
    running: list[_Work] = field(default_factory=list)
    inside: int = 0


class Simulation:
    """One run.

    Args:
        costs: Of a picture.
        plant: What there is.
        seed: Of the arrivals.
    """

    def __init__(self, costs: Costs, plant: Plant, seed: int = 0) -> None:
        self._costs, self._plant, self._random = costs, plant, random.Random(seed)  # noqa: S311
        step, first = {"one": (0, 0), "each": (1, plant.publics), "pair": (1, 0)}[plant.layout]
        self._publics = [_Station(step * n, costs.threads, 1) for n in range(plant.publics)]
        self._inferences = [
            _Station(first + step * n, 1, costs.largest_batch) for n in range(plant.inferences)
        ]
        self._now_s = 0.0
        self._took_s: list[float] = []

    def run(self, per_second: float, pictures: int) -> list[float]:
        """Seconds that each picture took, of so many that come by chance at a rate."""
        coming, next_s = pictures, self._random.expovariate(per_second)
        while len(self._took_s) < pictures:
            works = self._share_cores()
            ends_in_s = min((work.left_s / work.rate for work in works), default=math.inf)
            arrives = coming > 0 and next_s - self._now_s <= ends_in_s
            self._pass(works, next_s - self._now_s if arrives else ends_in_s)
            for work in works:
                if work.left_s <= _NOTHING_S:
                    self._end(work)
            if arrives:
                coming -= 1
                public = min(self._publics, key=lambda one: one.inside)
                public.inside += 1
                self._queue(_Picture(self._now_s, public), public)
                next_s = self._now_s + self._random.expovariate(per_second)
        return self._took_s

    def _pass(self, works: Sequence[_Work], seconds: float) -> None:
        for work in works:
            work.left_s -= work.rate * seconds
        self._now_s += seconds

    def _share_cores(self) -> list[_Work]:
        """Let all works on a machine go slower alike where they would use more than its cores."""
        works = [w for one in (*self._publics, *self._inferences) for w in one.running]
        used: dict[int, float] = {}
        for work in works:
            machine = work.station.machine
            used[machine] = used.get(machine, 0.0) + work.width
        for work in works:
            work.rate = work.width * min(1.0, self._plant.cores / used[work.station.machine])
        return works

    def _queue(self, picture: _Picture, station: _Station) -> None:
        station.waiting.append(picture)
        self._begin(station)

    def _begin(self, station: _Station) -> None:
        while station.waiting and len(station.running) < station.at_once:
            taken = station.waiting[: station.batch]
            del station.waiting[: station.batch]
            costs = (self._costs.prepare, self._costs.network, self._costs.finish)
            step = costs[taken[0].step]
            station.running.append(_Work(station, taken, len(taken) * step.core_s, step.width))

    def _end(self, work: _Work) -> None:
        station = work.station
        station.running = [one for one in station.running if one is not work]
        for picture in work.pictures:
            picture.step += 1
            if picture.step == _NETWORK:
                inference = self._inference_of(picture.public)
                inference.inside += 1
                self._queue(picture, inference)
            elif picture.step == _AFTER:
                station.inside -= 1
                self._queue(picture, picture.public)
            else:
                station.inside -= 1
                self._took_s.append(self._now_s - picture.came_s)
        self._begin(station)

    def _inference_of(self, public: _Station) -> _Station:
        if self._plant.layout == "pair":
            return next(one for one in self._inferences if one.machine == public.machine)
        return min(self._inferences, key=lambda one: one.inside)
