"""Workflow: declared configurations, state machines, schedules, and what happens when an object is created."""
