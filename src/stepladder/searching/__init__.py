"""The best network under a budget: the space, proposals, a study that survives a kill, the ladder to its winner."""
