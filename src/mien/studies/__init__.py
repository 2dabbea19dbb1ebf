"""The five papers' experiments as data: what is trained and tested, what the paper says, and what was measured."""
