"""Python, the next steps: classes, decorators, async IO, and what pip understands."""
