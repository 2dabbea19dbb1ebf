"""Streams: from a file, camera or URL to frames with tracks and events."""
