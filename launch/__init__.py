"""Launch: the command line, the one configuration that holds all sections, and the order of stages.

cli.py        `cgd VERB`: reads arguments, calls one function, turns mistakes into messages
config.py     every section of a configuration file, resolved
runs.py       the run folder: opened, guarded against another configuration, started anew
pipeline.py   prompts → records (data_step.py) → training → evaluation → report
"""
