"""Preparation: raw data becomes the CSV files and schemas that imports take, batch results become tables to read.

A job is a file of SQL in ``sql/``.
"""
