"""What has become of every picture, in one Parquet file that is always whole.

While a job runs, its rows go into parts beside it, some seconds apart; at each end of the job, they
and what was there become one file anew. So a job that is killed loses some seconds of rows and no
cutout, and the same command goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.bulk.errors import Usage
from service.bulk.pictures import Job
from service.bulk.place import Place
from service.bulk.rows import Row

#: The file, below the target.
MANIFEST = "manifest.parquet"
#: Columns of a row, in their order.
SCHEMA = pa.schema([(name, pa.float64() if name == "ms" else pa.string()) for name in Row._fields])

_PARTS = ".manifest"
_ASKED = f"{_PARTS}/job.json"
_FLUSH_S = 10.0
_MOST = 1 << 40


class Manifest:
    """Keeps the rows of one job; nobody else may write to them meanwhile.

    Args:
        place: Where cutouts go.
        flush_s: How many seconds of rows a kill may lose.
    """

    def __init__(self, place: Place, flush_s: float = _FLUSH_S) -> None:
        self._place, self._flush_s = place, flush_s
        self._rows: list[Row] = []
        self._flushed = time.monotonic()

    def begin(self, job: Job) -> set[str]:
        """Take up what is there: paths of the pictures that are done.

        Raises:
            Usage: If it was made of another source, by another model or with other options.
            StorageUnavailable: If the storage does not answer.
        """
        asked = {"source": job.source, "model": job.model, **job.options}
        if self._place.written(_ASKED) is None:
            self._place.replace(_ASKED, json.dumps(asked, indent=1).encode())
        else:
            before = json.loads(self._place.read(_ASKED, _MOST))
            if before != asked:
                names = sorted(n for n in {*before, *asked} if before.get(n) != asked.get(n))
                told = ", ".join(f"{name} {before.get(name) or 'not given'}" for name in names)
                raise Usage(f"{job.target}: it was made with {told}; choose another target")
        table = self._whole([*self._old(), *map(self._read, self._parts())])
        return set(table.filter(pc.is_null(table["code"]))["path"].to_pylist())

    def note(self, rows: Iterable[Row]) -> None:
        """Keep rows.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        self._rows += rows
        if time.monotonic() - self._flushed >= self._flush_s:
            self._flush()

    def finish(self) -> None:
        """Make one file of all there is.

        Raises:
            StorageUnavailable: If the storage does not answer.
        """
        self._flush()
        if parts := self._parts():
            table = self._whole([*self._old(), *map(self._read, parts)])
            self._place.replace(MANIFEST, _bytes_of(table))
            self._place.delete(parts)

    def _flush(self) -> None:
        if self._rows:
            name = f"{_PARTS}/part-{time.time_ns():020}.parquet"
            columns = zip(*self._rows, strict=True)
            self._place.replace(name, _bytes_of(pa.table(list(columns), schema=SCHEMA)))
            self._rows = []
        self._flushed = time.monotonic()

    def _parts(self) -> list[str]:
        return [name for name in self._place.names(_PARTS) if name.endswith(".parquet")]

    def _old(self) -> list[pa.Table]:
        return [] if self._place.written(MANIFEST) is None else [self._read(MANIFEST)]

    def _read(self, name: str) -> pa.Table:
        return pq.read_table(BytesIO(self._place.read(name, _MOST)), schema=SCHEMA)

    def _whole(self, tables: list[pa.Table]) -> pa.Table:
        """Rows of tables, the oldest first: of each picture the last one."""
        table = pa.concat_tables([SCHEMA.empty_table(), *tables])
        numbers = pa.array(range(len(table)), pa.int64())
        latest = table.append_column("at", numbers).group_by("path").aggregate([("at", "max")])
        return table.take(latest["at_max"].combine_chunks().sort())


def _bytes_of(table: pa.Table) -> bytes:
    file = BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()
