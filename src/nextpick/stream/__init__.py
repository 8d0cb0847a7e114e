"""The event stream: records on disk in order, taken from there by consumers."""
