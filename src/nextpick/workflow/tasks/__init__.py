"""What a Task can do: calls of AWS operations, functions, preparation jobs."""
