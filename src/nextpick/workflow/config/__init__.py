"""Declared configurations: how they are written, what is wrong with one, where its data is.

Source of the format: "Maintaining Personalized Experiences with Machine Learning" (AWS Solutions), implementation
guide.
"""
