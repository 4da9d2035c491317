"""One folder per outside tool; a connector imports no area."""
