"""The studies, by topic. Nothing imports them but the catalogue."""
