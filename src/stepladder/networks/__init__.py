"""What a network is: layers and their text form, geometry by integers alone, and a slow reference in float64.

A new layer begins here. Nothing here trains, reads a file or knows a recipe.
"""
