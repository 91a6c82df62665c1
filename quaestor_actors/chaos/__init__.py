"""Chaos: a cluster of its own is hurt by a plan that a seed decides, and watched for what must hold all the same."""
