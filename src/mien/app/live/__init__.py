"""The live view: frames of the person in view, read while they agree to it."""
