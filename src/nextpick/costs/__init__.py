"""Running costs: what was used, what it would have cost in the cloud, and what nobody uses."""
