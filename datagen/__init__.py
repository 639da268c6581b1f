"""Data generation: prompts become student answers, critiques and refinements (steps 1 to 3).

Every stage is file to file: a JSONL file of records goes in, the same records with one more field
come out. Start with `records.py` (what a record is), then `stages.py` (how a stage runs and how it
resumes).
"""
