"""Probabilistic predictors: functions (params, contexts, points, key) -> mean and std."""
