"""Subcommands of `tito` about environments and their rollouts, one file for what each is called.

A command has `add_to(subcommands)`, which describes its arguments, and `run(arguments)`, which gives the exit code.
`cli.py` registers them, reads the environment variables and prints errors.
"""
