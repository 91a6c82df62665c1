"""The `quaestor` command: the launcher, the operator's commands, and pure renderers of what they show."""
