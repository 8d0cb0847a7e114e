"""Traces of requests through gateway, functions and engine, in the terms of X-Ray, in a store of a bounded size."""
