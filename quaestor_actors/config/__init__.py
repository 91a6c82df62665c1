"""From YAML files to frozen specifications, or to a list of located faults."""
