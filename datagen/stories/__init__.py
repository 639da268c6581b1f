"""The sentences of the built-in world and the steps they ask for, a file for each place."""
