"""One module for each thing of the outside world: processes, health, loads, the gRPC frontend, files."""
