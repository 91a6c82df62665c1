"""quaestor_actors keeps gRPC services running and healthy, and balances their load, on plain Linux machines."""
