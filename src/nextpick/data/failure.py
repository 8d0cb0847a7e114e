"""The data cannot be used as it is."""


class DataFailure(Exception):
    """What is wrong with the data, where, and what was expected; becomes a job's failureReason."""
