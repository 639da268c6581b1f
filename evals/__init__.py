"""Evaluation: find the final answer, compare it exactly, say what is known, and write the report.

benchmarks → run (generate, resume) → grading (extract, equivalence) → statistics → report
"""
