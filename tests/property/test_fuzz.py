"""Two hundred random problems; `python -m tests.fuzz` runs five thousand."""

import fuzz


def test_two_hundred_random_problems():
    report = fuzz.run(200)
    assert report["bounded"] == []
    assert report["condition"] == []
    condition, bounded = report["solved"]
    assert condition > 120  # others contradict
    assert bounded > 110
