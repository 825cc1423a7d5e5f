"""Images: what is there, where, and from which side."""

TITLE = "Vision"
ORDER = 2
