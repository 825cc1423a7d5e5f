"""Acting in an environment for the sake of a reward."""

TITLE = "Agents"
ORDER = 5
