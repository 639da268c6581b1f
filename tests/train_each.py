"""Trains every configuration file named on the command line, one after the other, in one process a rank.

torchrun --nproc-per-node N tests/train_each.py CONFIG...       starting ranks is most of the cost of a tiny training
"""

from __future__ import annotations

import sys

from engine.train import main

if __name__ == "__main__":
    sys.exit(max(main([config]) for config in sys.argv[1:]))
