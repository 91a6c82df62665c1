"""Generated gRPC stubs of the protocols in protos/; regenerate with `make protos`."""
