"""Where training happens: one run in a process of its own, sent as text, and stored weights evaluated again."""
