"""Rooms: many people's coarse polarity, and nobody's readings."""
