"""IAM: users, roles, policies, and what they may do."""
