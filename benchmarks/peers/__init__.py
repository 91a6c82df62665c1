"""The supervisors that are compared: one module each, all behind the same protocol."""
