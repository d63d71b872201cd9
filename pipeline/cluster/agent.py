"""The front's way into Ray: a process of its own, the only one here that imports Ray.

It finds the machines of the cluster that offer places for workers, keeps a carrier on each, and
passes frames on. It has no key and no file of a session: whoever took Ray over, here or on any
machine, would hold ciphertext. It ends when the front does; when it ends, or Ray's head does, the
front starts another.

    python -m pipeline.cluster.agent FILE           started by `cluster`; its pipe: standard input
    python -m pipeline.cluster.agent FILE SOCKET    run by itself, under a user of its own: whoever
                                                    took Ray over has that user's rights then

    machine's resource      place for a worker that makes
    likeness                portraits of all ways that its base allows
    likeness-photo          portraits of photos
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.cluster.carrier import Carrier
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Pipe
from privacy.harden import harden

PLACES = {"likeness": False, "likeness-photo": True}
"""Resources of machines, and whether a worker there only makes portraits of photos."""

LOOK_S = 2.0
"""Between two looks for machines."""

TAKE_S, UNHEARD_S = 1.0, 20.0
"""For how long a carrier waits for a frame, and is waited for."""

GROUPS = {"take": 1, "give": 1, "kill": 1}
"""Each on a thread of its own, so that frames keep their order and an end waits for nothing."""


@dataclass
class _Place:
    """A carrier on a machine. workers: names of the processes that the front knows."""

    name: str
    node: str
    actor: Any
    workers: set[str] = field(default_factory=set)


class Agent:
    """Passes frames between the front's pipe and the carriers."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._actor = ray.remote(
            num_cpus=0, max_restarts=0, max_task_retries=0, concurrency_groups=GROUPS
        )(Carrier)

    def run(self) -> None:
        """Look for machines until the front is gone, or Ray."""
        threading.Thread(target=self._heed, name="front", daemon=True).start()
        while True:
            for node in ray.nodes():
                if node["Alive"]:
                    self._fill(node)
            time.sleep(LOOK_S)

    def _fill(self, node: dict[str, Any]) -> None:
        """A carrier on each place that a machine offers."""
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        for resource, photo_only in PLACES.items():
            for number in range(int(node["Resources"].get(resource, 0))):
                name = f"{node['NodeID'][:12]}-{resource}-{number + 1}"
                with self._lock:
                    if name in self._places:
                        continue
                gpus = 1 if not photo_only and node["Resources"].get("GPU") else 0
                actor = self._actor.options(
                    scheduling_strategy=where, resources={resource: 1}, num_gpus=gpus
                ).remote(f"{name}-{time.time_ns() % 10**9}", photo_only)
                place = _Place(name, node["NodeID"], actor)
                with self._lock:
                    self._places[name] = place
                threading.Thread(target=self._pump, args=(place,), daemon=True).start()

    def _pump(self, place: _Place) -> None:
        """Pass on what comes from a carrier, until it is gone."""
        try:
            take = place.actor.take.options(concurrency_group="take")
            self._up(place, ray.get(place.actor.worker.remote(), timeout=60.0))
            while True:
                for worker, head, parts in ray.get(take.remote(TAKE_S), timeout=UNHEARD_S):
                    self._up(place, worker)
                    if head == ["gone"]:
                        place.workers.discard(worker)
                        self._pipe.send(["gone", worker], parts)
                        self._up(place, ray.get(place.actor.worker.remote(), timeout=UNHEARD_S))
                    else:
                        self._pipe.send(["frame", worker, *head[1:]], parts)
        except ray.exceptions.RayError as why:
            print(f"carrier lost: {type(why).__name__}", file=sys.stderr, flush=True)
        except OSError:
            os._exit(0)
        with suppress(Exception):
            ray.kill(place.actor)
        for worker in place.workers:
            self._pipe.send(["gone", worker])
        with self._lock:
            del self._places[place.name]

    def _up(self, place: _Place, worker: str) -> None:
        if worker not in place.workers:
            place.workers.add(worker)
            self._pipe.send(["up", worker])

    def _heed(self) -> None:
        """Do what the front asks for, until it is gone."""
        with suppress(EOFError, OSError, ValueError):
            while (came := self._pipe.receive()) is not None:
                (what, worker, *head), parts = came
                with self._lock:
                    places = list(self._places.values())
                place = next((one for one in places if worker in one.workers), None)
                if place is None:
                    self._pipe.send(["gone", worker])
                elif what == "kill":
                    place.actor.kill.options(concurrency_group="kill").remote(worker)
                elif what == "send":
                    give = place.actor.give.options(concurrency_group="give")
                    give.remote(worker, head, list(parts))
        os._exit(0)


def listen(path: Path) -> int:
    """The descriptor of the first front that comes; its group may, nobody else."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        path.chmod(0o660)
        door.listen(1)
        front, _ = door.accept()
        return front.detach()


def main() -> int:
    """Join the cluster and serve the front."""
    harden()
    cluster = ClusterFile.read(Path(sys.argv[1]))
    ray.init(
        address=cluster.address,
        _node_ip_address=cluster.address.rpartition(":")[0],  # the head runs beside the front
        namespace="likeness",
        log_to_driver=False,
        configure_logging=False,
    )
    pipe = Pipe(listen(Path(sys.argv[2])) if len(sys.argv) > 2 else os.dup(0))
    Agent(pipe).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
