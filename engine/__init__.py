"""The training engine: records in, a Hugging Face model folder out.

Reading order: objectives (the method), examples (tokens and mask), packing (rows), attention and loss (the arithmetic),
model and parallel (the shards), optim, checkpoint, export, metrics, and train, which ties them together on one page.
"""
