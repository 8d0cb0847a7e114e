"""The Amazon States Language: definitions read and checked, states interpreted, every step on disk.

Source: Amazon States Language specification (states-language.net/spec.html); AWS Step Functions Developer Guide.
"""
