from __future__ import annotations

import numpy as np
import pytest

from app.datasets.columns import assemble
from app.errors import InvalidRequest

HEADER = "x0,x1,y,dydx0,dydx1,weight"


def test_columns_may_come_in_any_order_and_by_the_names_of_the_features() -> None:
    header = ["dydx2", "y", "strike", "spot[1]", "spot[0]", "dydx0", "dydx1"]
    numbers = np.array([[3.0, 0.0, 1.0, 2.0, 3.0, 1.0, 2.0], [6.0, 1.0, 1.1, 4.0, 5.0, 4.0, 5.0]])
    table = assemble(header, numbers, range(2))
    assert table.names == ("strike", "spot[0]", "spot[1]")
    np.testing.assert_array_equal(table.x, [[1.0, 3.0, 2.0], [1.1, 5.0, 4.0]])
    assert table.dydx is not None
    np.testing.assert_array_equal(table.dydx, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert table.weight is None


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("dydx1", "dydx0"), "column dydx0 is there twice"),
        (HEADER.replace("dydx1", "dydx[0]"), r"columns dydx0 and dydx\[0\] are the same"),
        (HEADER.replace("dydx1", "dydx2"), "column dydx1 is missing"),
        (HEADER.replace("x1,y", "x2,y"), "column x1 is missing"),
        (HEADER.replace("x1,y", "spot[1],y"), r"columns of spot must be spot, or spot\[0\]"),
        (HEADER.replace("x1,y", "a b,y"), "column 'a b' must be a name"),
        (HEADER.replace(",y,", ",value,"), "the header must name y"),
        ("X0,Y", "the header must name y, got X0, Y; names are lower case"),
        ("y", "must name features"),
        ("x0,x1,y,dydx0", r"need dydx for 2 features \(x0, x1\), got 1"),
        ("x0,dydspot0,weights,Y,y", "unknown columns: dydspot0, weights, Y; values are y, weights are "),
        (HEADER.replace("weight", "WEIGHT"), "unknown columns: WEIGHT"),
    ],
)
def test_a_wrong_name_is_told(header: str, message: str) -> None:
    names = header.split(",")
    numbers = np.arange(2.0 * len(names)).reshape(2, len(names))
    with pytest.raises(InvalidRequest, match=message):
        assemble(names, numbers, range(2))


def test_a_row_is_a_line_where_lines_were_counted() -> None:
    numbers = np.array([[1.0, 2.0], [2.0, np.nan]])
    with pytest.raises(InvalidRequest, match="row 1, column y"):
        assemble(["x0", "y"], numbers, range(2))
    with pytest.raises(InvalidRequest, match="line 7, column y"):
        assemble(["x0", "y"], numbers, [2, 7])
