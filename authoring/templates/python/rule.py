"""The rule, without a sandbox."""


def check(total: float, limit: float) -> tuple[bool, float]:
    """Whether a total is within the limit, and how near it is, from 0 to 1."""
    return total <= limit, round(min(total / limit, 1.0), 3)
