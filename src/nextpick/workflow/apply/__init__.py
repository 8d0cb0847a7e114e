"""Making reality match a configuration, and taking it away again."""
