"""The paper's tables and figures as experiments: each a TOML file that expands to a grid of runs.

    NAME.toml + scales/SCALE.toml -> Grid (cells and jobs) -> pool of run folders -> table, figure, report

`experiment.py` and `scale.py` read the files, `grid.py` expands them, `jobs.py` names what is run, `scheduler.py`
runs it, `reproduce.py` is the command. `measures.py` and `tables.py` read what came of it.
"""
