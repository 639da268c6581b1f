"""Data generation: prompts become student answers, critiques and refinements (steps 1 to 3).

A prompts file goes in; out comes a file of records for every stage, each with one more field. Start with
`records.py` (what a record is), then `chain.py` (what a record needs next), `plan.py` (under which key)
and `flow.py` (how all of them get through, exactly once).
"""
