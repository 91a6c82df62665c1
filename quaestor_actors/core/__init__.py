"""Every decision of the project as pure functions and frozen data: no clock, no I/O, no actors."""
