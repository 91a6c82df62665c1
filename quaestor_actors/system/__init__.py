"""The actor system itself: a hardened Thespian transport, starting it, attaching to it, guarding it."""
