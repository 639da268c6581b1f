"""Diagnostics: what a critique does to a student, measured on records and a model folder.

diagnosis.py says what a diagnostic is, registry.py which there are, run.py how they are run and resumed.
"""
