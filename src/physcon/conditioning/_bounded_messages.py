"""The sentences that `bounded` and `sample_bounded` raise."""

MESSAGES = {
    "few_moves": (
        "sample_bounded: expected every free point to move several times, got too few "
        "moves for the draws to be trusted; raise sweeps, or drop rows"
    ),
    "not_finite": (
        "bounded: expected a finite mean, standard deviation, operator and value, and "
        "bounds that are numbers, got NaN or infinity; pass None, -inf (lower) or inf "
        "(upper) for an open bound"
    ),
    "disordered": (
        "bounded: expected lower <= upper everywhere, got a point with lower > upper; "
        "swap the bounds"
    ),
    "unreachable": (
        "bounded: expected a value that some field within the bounds has, got one out "
        "of reach; call `reachable` for the interval of each row"
    ),
    "contradiction": (
        "bounded: expected rows that can be met together within the bounds, got rows "
        "that contradict each other there; drop one of them, widen the bounds, or give "
        "the constraint a noise_std"
    ),
    "not_solved": (
        "bounded: expected rows that can be met together within the bounds, got no "
        "convergence; drop contradicting rows, or give the constraint a noise_std"
    ),
}
