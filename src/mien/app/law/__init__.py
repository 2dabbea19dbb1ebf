"""What may be done, under which consent, and the log of what was done."""
