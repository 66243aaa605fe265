"""Rows that have columns from two places."""

from dataclasses import dataclass

import pyarrow as pa

from robomix.tools.build.content import Rows


@dataclass(frozen=True)
class Beside:
    """The columns of `first`, and those of `second`, of the same rows."""

    first: Rows
    second: Rows

    def table(self) -> pa.Table:
        table, further = self.first.table(), self.second.table()
        for name in further.column_names:
            table = table.append_column(name, further[name])
        return table

    @property
    def size(self) -> int:
        return self.first.size + self.second.size
