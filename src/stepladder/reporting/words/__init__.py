"""What a rung's runs show, and what could come next, in sentences."""
