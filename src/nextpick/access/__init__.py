"""Who may do what: policies, who there is, and the one place that decides."""
