"""What is measured, and how: one module for each figure."""
