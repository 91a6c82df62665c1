"""The actors of the tree, one module each: its messages on top, then a thin shell around the pure core."""
