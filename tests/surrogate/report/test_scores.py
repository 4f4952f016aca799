from __future__ import annotations

from surrogate.report.scores import OutputScore, ReferenceQuality, SampleScores


def test_outputs_are_shown_in_one_order_the_named_greeks_last() -> None:
    score = OutputScore(rmse=1.0, max_error=1.0, r2=None)
    scores = SampleScores(samples=1, outputs=dict.fromkeys(("vega", "gamma", "theta", "value"), score))
    assert [output for output, _ in scores.shown()] == ["value", "gamma", "theta", "vega"]
    assert scores["vega"] is score


def test_a_reference_lists_the_errors_that_it_knows() -> None:
    quality = ReferenceQuality(kind="replicates", relative_error=0.1, delta_error=0.2, value_error=0.1)
    assert list(quality.errors.items()) == [("value", 0.1), ("delta", 0.2)]
