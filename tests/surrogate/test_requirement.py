import pytest
from msgspec import UNSET

from pricing.errors import InvalidSpec
from surrogate.requirement import LEVELS, Accuracy, required


def test_high_asks_for_more_than_normal_and_many_features_for_less() -> None:
    for few, many in LEVELS.values():
        assert few.gamma > many.gamma
        assert few.worst_bucket > many.worst_bucket
    for normal, high in zip(LEVELS["normal"], LEVELS["high"], strict=True):
        assert all(ours < theirs for ours, theirs in zip(normal, high, strict=True))


def test_what_numbers_leave_out_is_normal() -> None:
    assert required(UNSET, features=2) == required("normal", features=2) == required(Accuracy(), features=2)
    assert required(Accuracy(delta=0.5, points=3), features=2) == required("normal", features=2)._replace(
        delta=0.5, points=3
    )


@pytest.mark.parametrize(
    "wrong", [{"gamma": 1.5}, {"value": 1.0}, {"value": float("nan")}, {"points": 0}, {"delta": -1e300}]
)
def test_numbers_that_no_surrogate_has_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSpec, match=next(iter(wrong))):
        Accuracy(**wrong)  # type: ignore[arg-type]
