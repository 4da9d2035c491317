"""The web: the frame around the areas' pages, the parts they are made of, and the look."""
