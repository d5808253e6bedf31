"""A shop's afternoon, sent through the real entrances of a local stack, and what must have come of it."""
