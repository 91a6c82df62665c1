"""What the benchmarks of the load balancer are made of: the parts that run, and the arithmetic."""
