"""The command line: commands and their options, what a wrong one is told, and how every command ends."""
