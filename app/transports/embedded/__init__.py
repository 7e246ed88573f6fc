"""The embedded log: topics, groups and changelogs in one SQLite file, and the Faust transport on it."""
